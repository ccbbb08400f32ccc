//! Keys.

use keyward_core::keys::Purpose;
use keyward_core::secret::SecretText;

use crate::backend::{Backend, Node, at_once};

async fn find(node: &Node, purpose: Purpose, fresh: &str) -> String {
    let fresh = SecretText::new(fresh.to_owned());
    let key = node.keys.find_or_create_key(purpose, fresh).await;
    key.expect("the store").expose().to_owned()
}

pub(crate) async fn the_first_key_is_kept_and_purposes_are_apart(backend: &Backend) {
    let node = &backend.node;
    assert_eq!(find(node, Purpose::Login, "one").await, "one");
    assert_eq!(find(node, Purpose::Login, "two").await, "one");
    assert_eq!(find(node, Purpose::Notary, "three").await, "three");
    let other = backend.another_node().await;
    assert_eq!(find(&other, Purpose::Login, "four").await, "one");
    assert_eq!(find(&other, Purpose::Notary, "four").await, "three");
}

pub(crate) async fn of_fifty_fresh_keys_one_is_kept(backend: &Backend) {
    let kept = at_once(50, |index| {
        let node = backend.node.clone();
        async move { find(&node, Purpose::Login, &format!("key{index}")).await }
    })
    .await;
    assert!(kept.iter().all(|key| key == &kept[0]), "{kept:?}");
    assert_eq!(
        find(&backend.another_node().await, Purpose::Login, "late").await,
        kept[0]
    );
}

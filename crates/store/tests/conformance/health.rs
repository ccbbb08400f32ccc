//! Whether the store answers.

use crate::backend::Backend;

pub(crate) async fn an_open_store_is_ready(backend: &Backend) {
    backend.rows().check().await.expect("the store");
    backend
        .another_node()
        .await
        .rows
        .check()
        .await
        .expect("the store");
}

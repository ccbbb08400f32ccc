//! Signing up by invitation, by the program itself.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, keyward};

#[tokio::test]
async fn an_invitation_is_made_listed_used_once_and_revoked_beside_the_server() {
    let home = TempDir::new().unwrap();
    let folder = home.path();
    let settings = [("KEYWARD_ACCOUNTS__SIGN_UP_OPS", "invited")];
    let server = Server::start_with(folder, "", &settings);
    let sign_up = async |role: &str, name: &str, code: &str| {
        let body = json!({"username": name, "password": "pw"});
        let request = server.post(&format!("/{role}/signup")).json(&body);
        let answer = request.header("X-Invitation", code).send().await.unwrap();
        answer.status().as_u16()
    };
    let invite = |more: &str| {
        let said = keyward(folder, &format!("account invite --realm ops {more}")).fine();
        let code = said.lines().find_map(|line| line.strip_prefix("code: "));
        code.unwrap().to_owned()
    };
    let listed = || -> Vec<Value> {
        let json = keyward(folder, "account invitations --json").json();
        json.as_array().unwrap().clone()
    };
    assert_eq!(
        sign_up("client", "ada", "none").await,
        201,
        "the others are open"
    );
    assert_eq!(sign_up("ops", "ada", "none").await, 403);
    let (any, for_bob, revoked) = (invite(""), invite("--username bob"), invite("--expires 1h"));
    assert_eq!(any.len(), 43, "256 bits in base64url");
    assert_eq!(listed().len(), 3);
    assert_eq!(listed()[1]["name"], "bob");
    let id = listed()[2]["id"].to_string();
    let revoke = format!("account revoke-invitation {id}");
    keyward(folder, &revoke).fine();
    let said = keyward(folder, &revoke).failed(1);
    assert!(said.contains("there is no invitation"), "{said}");
    assert_eq!(sign_up("ops", "eve", &revoked).await, 403);
    assert_eq!(sign_up("ops", "eve", &for_bob).await, 403);
    assert_eq!(sign_up("ops", "ada", &any).await, 201);
    assert_eq!(sign_up("ops", "eve", &any).await, 403);
    assert_eq!(sign_up("ops", "bob", &for_bob).await, 201);
    assert_eq!(listed().len(), 0);
    let table = keyward(folder, "account invitations").fine();
    assert!(table.contains("EXPIRES"), "{table}");
    keyward(folder, "account invite --realm ops --email a@b.c").failed(2);
    // The operator of the server needs none.
    let add = "account add --realm ops --username carol --generate-password";
    keyward(folder, add).fine();
}

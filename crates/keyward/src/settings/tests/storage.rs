//! Where the bytes of files are kept.

use keyward_store::blobs::s3::Credentials;

use super::*;

/// A world with a bucket on a server of its own.
fn bucket() -> World {
    World::new()
        .variable("KEYWARD_FILES__URL", "s3://keyward-files/exchange")
        .variable("KEYWARD_FILES__ENDPOINT", "https://s3.example:9000")
        .variable("KEYWARD_FILES__KEY_ID", "key")
        .variable("KEYWARD_FILES__SECRET", SECRET)
}

#[test]
fn files_are_in_the_data_folder_unless_a_bucket_is_named() {
    assert!(World::new().settings().storage.bucket().is_none());
    let storage = bucket().settings().storage;
    let options = storage.bucket().expect("a bucket");
    assert_eq!(options.url, "s3://keyward-files/exchange");
    assert_eq!(options.endpoint.as_deref(), Some("https://s3.example:9000"));
    assert_eq!(
        (options.region.as_deref(), options.path_style),
        (None, false)
    );
    let Credentials::Key { id, secret } = &options.credentials else {
        panic!("{options:?}");
    };
    assert_eq!((id.as_str(), secret.expose()), ("key", SECRET));
    let layers = bucket().layers();
    for shown in [show(&layers), show_json(&layers).to_string()] {
        assert!(
            !shown.contains(SECRET) && shown.contains("s3.example"),
            "{shown}"
        );
    }
}

#[test]
fn without_a_key_of_its_own_a_bucket_is_opened_as_amazons_tools_open_it() {
    let world = World::new()
        .variable("KEYWARD_FILES__URL", "s3://keyward-files")
        .variable("AWS_ACCESS_KEY_ID", "key")
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_DEFAULT_REGION", "eu-west-1");
    let storage = world.settings().storage;
    let options = storage.bucket().expect("a bucket");
    assert_eq!(options.region.as_deref(), Some("eu-west-1"));
    let Credentials::Standard { variables } = &options.credentials else {
        panic!("{options:?}");
    };
    assert_eq!(variables.len(), 3);
    let region = |world: World| world.settings().storage.bucket().unwrap().region.clone();
    let world = world.variable("AWS_REGION", "eu-west-2");
    let own = world.variable("KEYWARD_FILES__REGION", "eu-west-3");
    assert_eq!(region(own).as_deref(), Some("eu-west-3"));
    let key = bucket().variable("AWS_REGION", "eu-west-2");
    assert_eq!(region(key).as_deref(), Some("eu-west-2"));
}

#[test]
fn settings_of_a_bucket_that_do_not_fit_together_are_refused() {
    let file = |text| World::new().file("keyward.toml", text);
    file("[files]\nendpoint = \"https://s3.example\"").refused_for(&[
        "keyward.toml:2: files.endpoint",
        "name the bucket in files.url",
    ]);
    file("[files]\npath_style = true")
        .refused_for(&["files.path_style applies to files in a bucket"]);
    let named = |text: &str| {
        let text = format!("[files]\nurl = \"s3://keyward-files\"\n{text}");
        World::new().file("keyward.toml", &text)
    };
    file("[files]\nurl = \"keyward-files\"").refused_for(&[
        "keyward.toml:2: files.url",
        "s3://bucket or s3://bucket/prefix",
    ]);
    named("key_id = \"key\"").refused_for(&["keyward.toml:3", "files.secret_file"]);
    named("secret = \"hidden\"").refused_for(&["files.secret also needs files.key_id"]);
    named("key_id = \"key\"\nsecret = \"hidden\"\nsecret_file = \"key\"")
        .refused_for(&["files.secret_file and files.secret are both given"]);
    named("endpoint = \"http://s3.example\"").refused_for(&["files.endpoint", "allow_http = true"]);
    named("endpoint = \"https://10.0.0.1\"").refused_for(&["files.endpoint", "path_style = true"]);
    named("max_size = \"79GiB\"").refused_for(&["files.max_size must be at most 78GiB"]);
    named("upload_timeout = \"13h\"").refused_for(&["files.upload_timeout must be at most 12h"]);
    named("endpoint = \"http://s3.example\"\nallow_http = true").settings();
    named("endpoint = \"https://10.0.0.1\"\npath_style = true").settings();
    assert!(!named("secret = \"hidden\"").refused().contains("hidden"));
}

//! Stored bytes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, TryStreamExt};
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, BlobReader, Blobs};
use keyward_core::memory::{Account, Budget};

use crate::backend::Backend;
use crate::files::blob;

/// Bytes that differ at every place that matters.
pub(crate) fn content(length: usize) -> Bytes {
    (0..length)
        .map(|index| (index * 31 + index / 65_521).to_le_bytes()[0])
        .collect()
}

pub(crate) async fn write(blobs: &Arc<dyn Blobs>, id: &BlobId, content: &Bytes) {
    let mut writer = blobs
        .create(id, Account::unbounded())
        .await
        .expect("a writer");
    for start in (0..content.len()).step_by(100_000) {
        let end = content.len().min(start + 100_000);
        writer.write(content.slice(start..end)).await.expect("room");
    }
    writer.finish().await.expect("the bytes");
}

pub(crate) async fn read(reader: Box<dyn BlobReader>, range: Range<u64>) -> Result<Vec<u8>, Fault> {
    let chunks: Vec<Bytes> = reader.read(range).try_collect().await?;
    assert!(
        chunks.iter().all(|chunk| chunk.len() <= 1 << 20),
        "chunks are bounded"
    );
    Ok(chunks.concat())
}

async fn open(blobs: &Arc<dyn Blobs>, id: &BlobId) -> Option<Box<dyn BlobReader>> {
    blobs.open(id).await.expect("the store")
}

pub(crate) async fn old(blobs: &Arc<dyn Blobs>) -> Vec<BlobId> {
    let batches: Vec<Vec<BlobId>> = blobs.list_old().try_collect().await.expect("the store");
    let mut all = batches.concat();
    all.sort_unstable();
    all
}

pub(crate) async fn finished_bytes_are_read_back_whole_and_in_ranges(backend: &Backend) {
    let blobs = &backend.blobs;
    for (number, length) in [0, 1, 262_144, 3_500_017].into_iter().enumerate() {
        let (id, content) = (blob(number), content(length));
        write(blobs, &id, &content).await;
        let (end, middle) = (length as u64, length as u64 / 2);
        for range in [
            0..end,
            middle..end,
            0..middle,
            middle..middle,
            end.saturating_sub(1)..end,
        ] {
            let reader = open(blobs, &id).await.expect("the bytes");
            let bytes = read(reader, range.clone()).await.expect("the range");
            let expected = &content[to_usize(range.start)..to_usize(range.end)];
            assert!(bytes == expected, "{range:?} of {length}");
        }
    }
}

fn to_usize(number: u64) -> usize {
    number.try_into().expect("it fits")
}

pub(crate) async fn unfinished_bytes_are_not_there(backend: &Backend) {
    let mut writer = backend
        .blobs
        .create(&blob(1), Account::unbounded())
        .await
        .expect("a writer");
    writer.write(content(2_000_000)).await.expect("room");
    assert!(open(&backend.blobs, &blob(1)).await.is_none());
    writer.finish().await.expect("the bytes");
    assert!(open(&backend.blobs, &blob(1)).await.is_some());
}

pub(crate) async fn an_abandoned_upload_leaves_nothing(backend: &Backend) {
    for length in [0, 10, 5_000_000] {
        let mut writer = backend
            .blobs
            .create(&blob(1), Account::unbounded())
            .await
            .expect("a writer");
        writer.write(content(length)).await.expect("room");
        drop(writer);
        assert!(open(&backend.blobs, &blob(1)).await.is_none());
    }
    assert_eq!(old(&backend.later_blobs()).await, []);
}

pub(crate) async fn a_reader_of_deleted_bytes_reads_to_their_end(backend: &Backend) {
    let content = content(2_000_000);
    write(&backend.blobs, &blob(1), &content).await;
    let reader = open(&backend.blobs, &blob(1)).await.expect("the bytes");
    backend.blobs.delete(&blob(1)).await.expect("the store");
    assert!(open(&backend.blobs, &blob(1)).await.is_none());
    assert!(read(reader, 0..2_000_000).await.expect("the bytes") == content);
}

pub(crate) async fn bytes_shorter_than_promised_are_an_error(backend: &Backend) {
    write(&backend.blobs, &blob(1), &content(1_000)).await;
    for range in [0..1_001, 1_000..1_001, 500_000..500_001] {
        let reader = open(&backend.blobs, &blob(1)).await.expect("the bytes");
        let result = read(reader, range).await;
        assert!(matches!(result, Err(Fault::Internal(_))), "{result:?}");
    }
}

pub(crate) async fn a_small_chunk_is_copied_and_does_not_keep_what_it_is_a_part_of(
    backend: &Backend,
) {
    let whole = content(100_000);
    let mut writer = backend
        .blobs
        .create(&blob(1), Account::unbounded())
        .await
        .expect("a writer");
    for byte in 0..1_000 {
        let chunk = whole.slice(byte..=byte);
        writer.write(chunk).await.expect("room");
    }
    assert!(whole.is_unique(), "a byte keeps 100,000");
    writer.finish().await.expect("the bytes");
    let reader = open(&backend.blobs, &blob(1)).await.expect("the bytes");
    assert!(read(reader, 0..1_000).await.expect("the bytes") == whole[..1_000]);
}

pub(crate) async fn what_is_in_memory_of_an_upload_is_reserved_and_given_back(backend: &Backend) {
    let budget = Budget::new(64 << 20);
    let id = blob(1);
    let create = || backend.blobs.create(&id, budget.account(None));
    let mut writer = create().await.expect("a writer");
    writer.write(content(10_000)).await.expect("room");
    assert_eq!(budget.used(), 0, "so much is free");
    writer.write(content(100_000)).await.expect("room");
    assert!(budget.used() >= 110_000, "{}", budget.used());
    drop(writer);
    given_back(&budget).await;

    let mut writer = create().await.expect("a writer");
    writer.write(content(9 << 20)).await.expect("room");
    writer.finish().await.expect("the bytes");
    given_back(&budget).await;
}

async fn given_back(budget: &Budget) {
    let all = async {
        while budget.used() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(waited.is_ok(), "{} bytes stay reserved", budget.used());
}

pub(crate) async fn an_upload_waits_for_memory_and_holds_none_of_it_meanwhile(backend: &Backend) {
    let budget = Budget::new(64 << 20);
    let account = budget.account(None);
    let others = account.reserve(63 << 20).expect("room");
    let another = account.reserve((1 << 20) - 50_000).expect("room");
    let id = blob(1);
    let created = backend.blobs.create(&id, account.clone());
    let mut writer = created.await.expect("a writer");
    writer.write(content(1_000)).await.expect("room");
    let used = budget.used();
    let mut waiting = Box::pin(writer.write(content(100_000)));
    assert!((&mut waiting).now_or_never().is_none());
    assert!(account.is_contended());
    assert_eq!(budget.used(), used);
    drop((others, another));
    waiting.await.expect("room");
    writer.finish().await.expect("the bytes");
    let reader = open(&backend.blobs, &blob(1)).await.expect("the bytes");
    let bytes = read(reader, 0..101_000).await.expect("the bytes");
    assert!(bytes == [content(1_000), content(100_000)].concat());
}

pub(crate) async fn a_reader_has_less_in_memory_than_it_says(backend: &Backend) {
    let ahead = to_usize(backend.blobs.read_ahead());
    assert!(ahead <= 1 << 20, "{ahead}");
    write(&backend.blobs, &blob(1), &content(3_000_000)).await;
    let reader = open(&backend.blobs, &blob(1)).await.expect("the bytes");
    let chunks = reader.read(0..3_000_000);
    let longest = chunks.try_fold(0, async |longest, chunk: Bytes| {
        Ok(chunk.len().max(longest))
    });
    let longest = longest.await.expect("the bytes");
    assert!(longest <= ahead, "{longest} of {ahead}");
}

pub(crate) async fn deleting_what_is_not_there_is_nothing(backend: &Backend) {
    backend.blobs.delete(&blob(1)).await.expect("the store");
    assert!(open(&backend.blobs, &blob(1)).await.is_none());
}

pub(crate) async fn only_what_no_upload_under_way_can_name_is_listed_as_old(backend: &Backend) {
    let ids = [
        BlobId::parse(&"f".repeat(32)).expect("an id"),
        blob(1),
        blob(2),
    ];
    for id in &ids {
        write(&backend.blobs, id, &content(10)).await;
    }
    assert_eq!(old(&backend.blobs).await, []);
    let later = backend.later_blobs();
    later.delete(&blob(2)).await.expect("the store");
    let mut expected = vec![ids[0].clone(), blob(1)];
    expected.sort_unstable();
    assert_eq!(old(&later).await, expected);
}

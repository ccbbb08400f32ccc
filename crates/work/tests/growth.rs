//! The count distinguishes linear from quadratic work.

use std::hint::black_box;

use keyward_work::{Shape, growths};

#[test]
fn linear_work_grows_eightfold_and_quadratic_work_far_more() {
    let linear = |text: &str| {
        black_box(text.bytes().filter(|byte| *byte == b'b').count());
    };
    let quadratic = |text: &str| {
        for at in (0..text.len()).step_by(256) {
            black_box(text[..at].bytes().filter(|byte| *byte == b'b').count());
        }
    };
    let shapes = vec![
        Shape::repeated(["", "ab", ""], linear),
        Shape::repeated(["", "ab", ""], quadratic),
    ];
    let test = "linear_work_grows_eightfold_and_quadratic_work_far_more";
    let Some(growths) = growths(test, shapes) else {
        return;
    };
    let [(_, linear), (_, quadratic)] = &growths[..] else {
        panic!("two shapes");
    };
    assert!((7.0..9.0).contains(linear), "{linear}");
    assert!((50.0..80.0).contains(quadratic), "{quadratic}");
}

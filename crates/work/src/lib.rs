//! Counts the instructions of parsers, for tests that their work is linear in their input.
//!
//! Invariant: tests compare counts of instructions, which depend neither on the clock nor on the load of the machine. A
//! test runs itself again under callgrind, which counts each shape at two sizes.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// The smaller size of each input, in bytes; the larger one is eight times that.
const SIZE: usize = 4096;
const GROWTH: usize = 8;
/// The maximum factor by which work may grow when the input grows eightfold. Quadratic work grows 64-fold.
const MOST_GROWTH: f64 = 12.0;

/// The environment variable that marks the counted process.
const COUNTED: &str = "KEYWARD_WORK_IS_COUNTED";

/// A parser and a form of input that can be made in any size.
pub struct Shape {
    name: String,
    prepare: Box<dyn Fn(usize) -> Box<dyn FnOnce()>>,
}

impl Shape {
    /// A shape whose input of a given number of bytes `make` returns. Only the instructions of `parse` are counted.
    pub fn new<T: 'static>(
        name: impl Into<String>,
        make: impl Fn(usize) -> T + 'static,
        parse: impl Fn(T) + Clone + 'static,
    ) -> Self {
        let prepare = move |size| -> Box<dyn FnOnce()> {
            let (input, parse) = (make(size), parse.clone());
            Box::new(move || parse(input))
        };
        Self {
            name: name.into(),
            prepare: Box::new(prepare),
        }
    }

    /// A shape whose input repeats `unit` between `before` and `after`.
    pub fn repeated(
        [before, unit, after]: [&'static str; 3],
        parse: impl Fn(&str) + Clone + 'static,
    ) -> Self {
        let make = move |size: usize| {
            let times = size.saturating_sub(before.len() + after.len()) / unit.len();
            [before, &unit.repeat(times), after].concat()
        };
        let name = format!("{before}{unit}…{after}");
        Self::new(name, make, move |text: String| parse(&text))
    }
}

/// Asserts that the work of every shape is linear in its input. `test` is the path of the calling test.
///
/// # Panics
/// If the work of a shape is not linear.
pub fn assert_linear(test: &str, shapes: Vec<Shape>) {
    let Some(growths) = growths(test, shapes) else {
        return;
    };
    let mut steep = String::new();
    for (name, growth) in growths
        .into_iter()
        .filter(|(_, growth)| *growth > MOST_GROWTH)
    {
        let _ = writeln!(
            steep,
            "{growth:.1} times the work for {GROWTH} times the input: {name}"
        );
    }
    assert!(steep.is_empty(), "{steep}");
}

/// The factor by which the work of each shape grows when its input grows eightfold. Returns `None` in the counted
/// process. If valgrind is not installed, prints `skipped:` and returns `None`.
///
/// # Panics
/// If valgrind fails.
pub fn growths(test: &str, shapes: Vec<Shape>) -> Option<Vec<(String, f64)>> {
    if is_counted() {
        for shape in shapes {
            for size in [SIZE, SIZE * GROWTH] {
                let mut run = Some((shape.prepare)(size));
                ready();
                counted(&mut run);
            }
        }
        return None;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        // Written to stderr directly, since the test runner captures `eprintln!`.
        let mut stderr = std::io::stderr();
        let _ = writeln!(stderr, "skipped: {test}: valgrind is not installed");
        return None;
    }
    let counts = count(test).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(counts.len(), 2 * shapes.len(), "is {test} the test's path?");
    let (pairs, _) = counts.as_chunks::<2>();
    let growth = |[small, large]: &[u64; 2]| *large as f64 / *small as f64;
    let names = shapes.into_iter().map(|shape| shape.name);
    Some(names.zip(pairs.iter().map(growth)).collect())
}

/// Callgrind is told to write its counts when this function returns, and to start from zero.
#[inline(never)]
fn ready() {
    black_box(());
}

/// Callgrind is told to write its counts when this function returns.
#[inline(never)]
fn counted(run: &mut Option<Box<dyn FnOnce()>>) {
    if let Some(run) = run.take() {
        run();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the variable that marks the counted process"
)]
fn is_counted() -> bool {
    std::env::var_os(COUNTED).is_some()
}

/// Runs the test under callgrind and returns the instructions of each call of [`counted`].
fn count(test: &str) -> std::io::Result<Vec<u64>> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-after=*keyward_work::ready*"])
        .arg("--dump-after=*keyward_work::counted*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(COUNTED, "1")
        .output()?;
    if !done.status.success() {
        return Err(std::io::Error::other(
            String::from_utf8_lossy(&done.stderr).into_owned(),
        ));
    }
    let mut counts = Vec::new();
    for number in 1.. {
        let dump = out.with_extension(number.to_string());
        match fs::exists(&dump)? {
            true => counts.extend(count_after(&dump)?),
            false => break,
        }
    }
    Ok(counts)
}

/// The instructions in a dump; `None` if the dump was not written after a call of [`counted`].
fn count_after(dump: &Path) -> std::io::Result<Option<u64>> {
    const AFTER: &str = "desc: Trigger: --dump-after=keyward_work::counted";
    let text = fs::read_to_string(dump)?;
    if !text.lines().any(|line| line.starts_with(AFTER)) {
        return Ok(None);
    }
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
    Ok(summary.and_then(|count| count.trim().parse().ok()))
}

//! The tools on files of this machine: what they do is the same in a sandbox.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::{Place, flags, run};
use crate::mounts::{between, whole};

struct Told {
    code: u8,
    output: Vec<u8>,
    errors: String,
}

fn told(folder: &std::path::Path, words: &[&str], mut input: &[u8]) -> Told {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let mut place = Place {
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
        directory: folder.to_str().unwrap().to_owned(),
    };
    let code = run(&words, &mut place);
    Told {
        code,
        output,
        errors: String::from_utf8(errors).unwrap(),
    }
}

#[test]
fn what_goes_into_an_archive_comes_out_of_it() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = "x".repeat(150);
    std::fs::create_dir_all(from.path().join("d/e")).unwrap();
    std::fs::write(from.path().join("d/e").join(&long), vec![7; 100_000]).unwrap();
    std::fs::write(from.path().join("d/a"), "a").unwrap();
    let packed = told(from.path(), &["tar", "cf", "-", "d"], b"");
    assert_eq!((packed.code, packed.errors.as_str()), (0, ""));
    let listed = told(to.path(), &["tar", "tf", "-"], &packed.output);
    let listed = String::from_utf8(listed.output).unwrap();
    assert_eq!(listed, format!("d/\nd/a\nd/e/\nd/e/{long}\n"));
    let sub = to.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    let words = [
        "tar",
        "--no-same-permissions",
        "--no-same-owner",
        "-xmf",
        "-",
        "-C",
        "sub",
    ];
    let unpacked = told(to.path(), &words, &packed.output);
    assert_eq!((unpacked.code, unpacked.errors.as_str()), (0, ""));
    let read = std::fs::read(sub.join("d/e").join(&long)).unwrap();
    assert_eq!(read, vec![7; 100_000]);
}

#[test]
fn a_shell_runs_lines() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mkdir -p a/b && echo one two > a/b/f; echo 'three' >> a/b/f\ncd a/b\ncat < f\ntest -f f || echo no\nfalse && echo never\necho $?\nexit 7\necho after";
    let done = told(folder.path(), &["sh", "-c", line], b"");
    assert_eq!(
        String::from_utf8(done.output).unwrap(),
        "one two\nthree\n1\n"
    );
    assert_eq!((done.code, done.errors.as_str()), (7, ""));
    let typed = told(folder.path(), &["sh"], b"pwd | cat\nnothing\n");
    assert_eq!(typed.code, 1);
    assert!(
        typed.errors.contains("no pipes") && typed.errors.contains("no such tool"),
        "{}",
        typed.errors
    );
}

#[test]
fn files_are_listed_tested_moved_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str], input: &[u8]| {
        let done = told(folder.path(), words, input);
        (
            done.code,
            String::from_utf8(done.output).unwrap(),
            done.errors,
        )
    };
    let good = |text: &str| (0, text.to_owned(), String::new());
    assert_eq!(run(&["tee", "f"], b"x\ny\n"), good("x\ny\n"));
    assert_eq!(run(&["tee", "-a", "f"], b"z\n"), good("z\n"));
    assert_eq!(run(&["head", "-n", "2", "f"], b""), good("x\ny\n"));
    assert_eq!(run(&["cp", "f", "g"], b""), good(""));
    assert_eq!(run(&["mv", "g", "h"], b""), good(""));
    assert_eq!(run(&["ls"], b""), good("f\nh\n"));
    assert!(
        run(&["ls", "-l", "f"], b"")
            .1
            .starts_with("-            6 20")
    );
    assert!(run(&["stat", "f"], b"").1.contains("Size: 6\tregular file"));
    assert_eq!(run(&["test", "-d", "f"], b"").0, 1);
    assert_eq!(run(&["rm", "f", "h"], b""), good(""));
    let (code, _, errors) = run(&["rm", "f"], b"");
    assert!(code == 1 && errors.contains("no such file"), "{errors}");
    assert_eq!(run(&["rm", "-f", "f"], b""), good(""));
    let (code, _, errors) = run(&["ls", "-z"], b"");
    assert_eq!(
        (code, errors.as_str()),
        (1, "ls: -z is not known here; -[1aAlhR] is\n")
    );
}

#[test]
fn paths_are_whole_and_volumes_are_seen_from_above() {
    assert_eq!(whole("/a/b", "../c/./d"), "/a/c/d");
    assert_eq!(whole("/a", "/x/../../y"), "/y");
    let mounted = [
        "/data/one".to_owned(),
        "/data/two".to_owned(),
        "/etc".to_owned(),
    ];
    assert_eq!(between("/", &mounted), ["data", "etc"]);
    assert_eq!(between("/data", &mounted), ["one", "two"]);
    assert!(between("/dat", &mounted).is_empty());
    let given = ["-la".to_owned(), "--".to_owned(), "-x".to_owned()];
    assert_eq!(
        flags(&given, "la").unwrap(),
        ("la".to_owned(), vec!["-x".to_owned()])
    );
}

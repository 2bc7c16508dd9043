//! A program whose first argument says how it ends.
#![expect(
    clippy::unwrap_used,
    reason = "a guest of the tests: a step that fails shall trap"
)]

use std::io::Read;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("print") => print(&args),
        Some("reach") => reach(),
        Some("exit") => std::process::exit(args[2].parse().unwrap()),
        Some("trap") => std::process::abort(),
        Some("cat") => cat(&args[2..]),
        Some("write") => println!("write {}", written(std::fs::write(&args[2], &args[3]))),
        Some("fill") => fill(&args[2], args[3].parse().unwrap()),
        Some("hear") => hear(),
        Some("follow") => follow(&args[2]),
        Some("bomb") => bomb(),
        Some("spin") => spin(),
        Some("sleep") => std::thread::sleep(std::time::Duration::from_secs(3600)),
        _ => {}
    }
}

fn print(args: &[String]) {
    println!("args {}", args.join(","));
    for (name, value) in std::env::vars() {
        println!("env {name}={value}");
    }
    eprintln!("done");
}

/// Tries every way out of the sandbox.
fn reach() {
    println!("file {}", std::fs::read("/etc/passwd").is_ok());
    println!("write {}", std::fs::write("escape", "x").is_ok());
    println!(
        "connect {}",
        std::net::TcpStream::connect("127.0.0.1:1")
            .map_err(|error| error.kind())
            .is_ok()
    );
    println!(
        "listen {}",
        std::net::TcpListener::bind("127.0.0.1:0").is_ok()
    );
    println!("stdin {}", std::io::stdin().read(&mut [0]).unwrap());
}

fn cat(paths: &[String]) {
    for path in paths {
        match std::fs::read_to_string(path) {
            Ok(text) => println!("{path}={text}"),
            Err(error) => println!("{path}: {:?}", error.kind()),
        }
    }
}

/// Writes so many bytes, and goes on.
fn fill(path: &str, bytes: usize) {
    std::fs::write(path, vec![7; bytes]).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

/// Says back what it is told, line by line, to the end.
fn hear() {
    println!("listening");
    for line in std::io::stdin().lines() {
        println!("heard {}", line.unwrap());
    }
    eprintln!("over");
}

/// Prints a file whenever it says something new.
fn follow(path: &str) {
    let mut last = String::new();
    loop {
        let text = std::fs::read_to_string(path).unwrap();
        if text != last {
            println!("{path}={text}");
            last = text;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

fn written(result: std::io::Result<()>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |()| "done".into())
}

fn bomb() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1u8; 1 << 20]);
        std::hint::black_box(&hoard);
    }
}

fn spin() {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n + 1);
    }
}

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

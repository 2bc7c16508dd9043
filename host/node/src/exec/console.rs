//! A command with its client at the other end: bytes in both directions, a terminal if there is one, and how it ended.

use bytes::Bytes;
use osier_engine::{Console, Exit, Stdin};
use osier_process::CancellationToken;
use osier_streams::remote_command::{Streams, Wanted};
use osier_streams::terminal::{self, Terminal, Wish};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use crate::beside::{Prepared, ended};

/// Writes of a guest that wait for the client; it waits itself beyond.
const WRITES: usize = 16;
/// Bytes of input that wait for the guest.
const INPUT: usize = 64 * 1024;
/// Exit codes as shells have them.
const INTERRUPTED: i32 = 130;
const NOT_FOUND: i32 = 127;

/// Runs it to its end, and says how that was.
pub(super) async fn run(
    prepared: Prepared,
    streams: Streams,
    (wanted, stopped): (Wanted, CancellationToken),
) -> String {
    let execution = match prepared {
        Ok(execution) => execution,
        Err(words) => {
            complain(streams, &words).await;
            return status(NOT_FOUND);
        }
    };
    let tty = wanted.tty;
    let (stdout, out) = mpsc::channel(WRITES);
    let (stderr, err) = mpsc::channel(WRITES);
    let stderr = match tty {
        true => {
            drop(stderr);
            stdout.clone()
        }
        false => stderr,
    };
    let (stdin, typing) = input((streams.stdin, streams.resize), tty, &stdout);
    let interrupted = typing.interrupt.clone();
    let said = stderr.clone();
    let console = Console {
        stdin,
        stdout,
        stderr,
        terminal: tty,
    };
    let guest = async move {
        let (code, words) = tokio::select! {
            exit = execution.run(console) => ended(&exit),
            () = stopped.cancelled() => ended(&Exit::Killed),
            () = interrupted.cancelled() => (INTERRUPTED, String::new()),
        };
        if !words.is_empty() {
            let _heard = said.send(format!("{words}\n").into()).await;
        }
        code
    };
    // What is typed ends with the guest: until then it may write to the screen.
    let attended = async move {
        tokio::select! {
            code = guest => code,
            never = typing.run() => match never {},
        }
    };
    let (code, (), ()) = tokio::join!(
        attended,
        pump(out, streams.stdout, tty),
        pump(err, streams.stderr, tty)
    );
    status(code)
}

/// What a person types at a terminal, on its way to the guest.
struct Typing {
    keys: Option<DuplexStream>,
    sizes: Option<DuplexStream>,
    guest: Option<DuplexStream>,
    screen: mpsc::Sender<Bytes>,
    interrupt: CancellationToken,
}

/// Standard input for the guest, straight from the client or by way of a terminal.
fn input(
    (stdin, sizes): (Option<DuplexStream>, Option<DuplexStream>),
    tty: bool,
    screen: &mpsc::Sender<Bytes>,
) -> (Option<Stdin>, Typing) {
    let mut typing = Typing::new(screen.clone());
    typing.sizes = sizes;
    let stdin = stdin.map(|stdin| {
        if !tty {
            return Stdin::new(stdin, false);
        }
        let (near, far) = tokio::io::duplex(INPUT);
        (typing.keys, typing.guest) = (Some(stdin), Some(near));
        Stdin::new(far, true)
    });
    (stdin, typing)
}

impl Typing {
    fn new(screen: mpsc::Sender<Bytes>) -> Self {
        Self {
            keys: None,
            sizes: None,
            guest: None,
            screen,
            interrupt: CancellationToken::new(),
        }
    }

    /// Hands on what is typed, for as long as it is polled. Sizes are heard: a component has no way to ask for them.
    async fn run(self) -> std::convert::Infallible {
        let Self {
            keys,
            sizes,
            guest,
            screen,
            interrupt,
        } = self;
        let resized = async {
            if let Some(mut sizes) = sizes {
                let _heard = tokio::io::copy(&mut sizes, &mut tokio::io::sink()).await;
            }
        };
        let typed = async {
            if let (Some(keys), Some(guest)) = (keys, guest) {
                type_into(keys, guest, (&screen, &interrupt)).await;
            }
        };
        tokio::join!(resized, typed);
        std::future::pending().await
    }
}

async fn type_into(
    mut keys: DuplexStream,
    mut guest: DuplexStream,
    (screen, interrupt): (&mpsc::Sender<Bytes>, &CancellationToken),
) {
    let mut terminal = Terminal::default();
    let mut bytes = [0; 1024];
    while let Ok(length @ 1..) = keys.read(&mut bytes).await {
        let typed = terminal.typed(&bytes[..length]);
        // Screen and guest may be gone: then the session ends soon.
        if !typed.shown.is_empty() {
            let _seen = screen.send(typed.shown.into()).await;
        }
        let _read = guest.write_all(&typed.input).await;
        match typed.wish {
            Wish::GoOn => {}
            Wish::End => return,
            Wish::Interrupt => interrupt.cancel(),
        }
    }
}

/// Carries what a guest writes to the client; without a stream for it, nobody reads it.
async fn pump(mut written: mpsc::Receiver<Bytes>, mut client: Option<DuplexStream>, tty: bool) {
    while let Some(bytes) = written.recv().await {
        let Some(stream) = &mut client else { continue };
        let sent = match tty {
            true => stream.write_all(&terminal::shown(&bytes)).await,
            false => stream.write_all(&bytes).await,
        };
        if sent.is_err() {
            client = None;
        }
    }
}

async fn complain(streams: Streams, words: &str) {
    if let Some(mut stream) = streams.stderr.or(streams.stdout) {
        // A client that has gone does not want to know.
        let _heard = stream.write_all(format!("{words}\n").as_bytes()).await;
    }
}

/// How a command ended, as the last word of `v4.channel.k8s.io`.
pub(crate) fn status(code: i32) -> String {
    if code == 0 {
        return json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
            .to_string();
    }
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("command terminated with non-zero exit code: {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
    .to_string()
}

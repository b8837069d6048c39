//! `cx serve`: what is asked over HTTP is a job here, and only who may ask is answered.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::{DEADLINE, Gate, Running, Sandbox};

/// A server of the repository, as a test's clients see it.
struct Served {
    running: Running,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Served {
    #[track_caller]
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let words = [&["serve", "--http", "0"], args].concat();
        let running = sandbox.start(sandbox.cx_command(words));
        let url = running.first_line();
        let address = url.strip_prefix("http://").expect("a URL").to_owned();
        Self { running, address }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Opens a connection and sends these bytes.
    fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("somebody listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes.as_ref()).expect("it takes a request");
        stream
    }

    /// Sends a request for `path` with these further headers and this body.
    fn post(&self, path: &str, headers: &str, body: &str) -> TcpStream {
        let (address, length) = (&self.address, body.len());
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// Asks for a task, and gives the status and the body.
    #[track_caller]
    fn run(&self, body: &Value) -> (u16, Value) {
        let answer = whole(self.post("/run", JSON, &body.to_string()));
        (status(&answer), body_of(&answer))
    }

    /// Ends it, and gives what it said.
    #[track_caller]
    fn end(self, sandbox: &Sandbox) -> String {
        sandbox.sh(&format!("kill -INT {}", self.running.id())).ok();
        self.running.finish().code(130).stderr()
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

/// All that the server says until it closes the connection.
#[track_caller]
fn whole(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer");
    said
}

#[track_caller]
fn status(answer: &str) -> u16 {
    let word = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
    word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

#[track_caller]
fn body_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Reads until the stream has said `text`, and gives all of it.
#[track_caller]
fn until(stream: &mut TcpStream, text: &str) -> String {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(text.as_bytes()) {
        let count = stream.read(&mut byte).expect("more of the stream");
        assert_eq!(count, 1, "{text:?} never came: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    String::from_utf8(said).unwrap()
}

#[test]
fn what_is_asked_is_a_job_here_and_its_answer_is_the_jobs() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh", "--timeout", "40s"]);
    let task = "echo \"it's\" >&2; printf '\\n one\\ntwo\\n'";
    let (status, body) = served.run(&json!({ "task": task, "agentId": "default", "alias": "" }));
    assert_eq!(
        (status, &body["output"], &body["summary"]),
        (200, &json!("\n one\ntwo\n"), &json!("one"))
    );
    let job = sandbox.job("%1");
    assert_eq!((&job["status"], &job["mode"]), (&json!("succeeded"), &json!("reader")));
    assert_eq!((&job["collected"], &body["job"]), (&json!(true), &json!(1)));
    let spawned = sandbox.until(1, "spawned");
    assert_eq!(spawned["timeout_ms"], 40_000);

    // A reader, whatever is asked.
    let (status, body) = served.run(&json!({ "task": "echo x > new" }));
    assert_eq!((status, &body["error"]["outcome"]), (500, &json!("failed")));
    assert!(
        body["error"]["message"].as_str().unwrap().starts_with("ended with exit code"),
        "{body}"
    );
    assert!(!sandbox.repo().join("new").exists());
    let said = served.end(&sandbox);
    assert!(said.contains("each request is a script that runs here"), "{said}");
}

#[test]
fn a_stream_tells_what_the_job_does_while_it_does_it() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    let gate = sandbox.gate("gate");
    let task = json!({ "task": format!("echo begun; {}; echo done", gate.pass()) }).to_string();
    let mut stream = served.post("/run?stream=1", JSON, &task);
    let head = until(&mut stream, "\r\n\r\n");
    assert!(head.contains("Content-Type: text/event-stream\r\n"), "{head}");
    assert!(until(&mut stream, "\n\n").starts_with("event: start\ndata: {\"job\":1,"));
    assert_eq!(until(&mut stream, "\n\n"), "event: chunk\ndata: {\"text\":\"begun\"}\n\n");
    gate.open();
    let rest = whole(stream);
    assert!(
        rest.starts_with("event: chunk\ndata: {\"text\":\"done\"}\n\nevent: complete\ndata: {"),
        "{rest}"
    );
    assert!(rest.contains("\"output\":\"begun\\ndone\\n\"") && rest.ends_with("}\n\n"), "{rest}");

    let failing = json!({ "task": "echo oh >&2; exit 3" }).to_string();
    let said = whole(served.post("/run?stream=1", JSON, &failing));
    let (_, error) = said.split_once("event: error\ndata: ").expect("an error");
    let error: Value = serde_json::from_str(error.trim()).unwrap();
    assert_eq!(error["error"]["message"], "ended with exit code 3: oh");
    served.end(&sandbox);
}

#[test]
fn cx_asks_cx() {
    let mut sandbox = Sandbox::new();
    sandbox.add_tool("curl");
    let token = sandbox.root().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let served = Served::start(&sandbox, &["-b", "sh", "--token-file", token.to_str().unwrap()]);
    sandbox.set("CODEX_URL", served.url());
    let gate = sandbox.gate("gate");
    let refused = ["spawn", "-b", "http", "-n", "stranger", "true"];
    sandbox.cx(refused).ok();
    sandbox.cx(["wait", "stranger"]).code(1);
    let reason = "HTTP 401, the token is missing or was not accepted: a token is needed (Authorization: Bearer TOKEN)";
    assert_eq!(sandbox.job("stranger")["reason"], reason);
    sandbox.set("CODEX_API_KEY", "s3cret");
    let script = format!("echo looking; {}; echo \"$CX_NAME: found\"", gate.pass());
    sandbox.cx(["spawn", "-b", "http", "-n", "near", &script]).ok();
    let following = sandbox.start(sandbox.cx_command(["logs", "-f", "near"]));
    following.wait_for_stdout("looking\n");
    gate.open();
    following.finish().ok();
    let collected = sandbox.cx(["collect", "near", "--json"]).ok().json();
    let message = collected[0]["message"].as_str().unwrap();
    assert!(message.starts_with("looking\n") && message.ends_with(": found\n"), "{message}");
    // A limit that the far job has hit is one of the near job, too.
    sandbox.cx(["spawn", "-b", "http", "-n", "bad", "exit 7"]).ok();
    sandbox.cx(["wait", "bad"]).code(1);
    let reason = "the stream ended with an error: ended with exit code 7";
    assert_eq!(sandbox.job("bad")["reason"], reason);
    let said = served.end(&sandbox);
    assert!(!said.contains("s3cret"), "{said}");
    let ledger = std::fs::read_to_string(sandbox.repo().join(".git/cx/ledger.jsonl")).unwrap();
    assert!(!ledger.contains("s3cret"), "{ledger}");
}

#[test]
fn who_may_not_ask_starts_nothing() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    let at = served.address.clone();
    let (_, port) = at.rsplit_once(':').unwrap();
    let task = json!({ "task": "true" }).to_string();
    let raw = |head: String| status(&whole(served.send(head)));
    let length = task.len();
    for (host, code) in [("evil.example", 403), ("127.0.0.1.evil.example", 403), ("10.0.0.1", 403)]
    {
        let head = format!(
            "POST /run HTTP/1.1\r\nHost: {host}:{port}\r\n{JSON}Content-Length: {length}\r\n\r\n{task}"
        );
        assert_eq!(raw(head), code, "{host}");
    }
    for (path, headers, body, code) in [
        ("/run", format!("{JSON}Origin: http://evil.example\r\n"), task.as_str(), 403),
        ("/run", format!("{JSON}Origin: null\r\n"), &task, 403),
        ("/run", format!("{JSON}Sec-Fetch-Site: cross-site\r\n"), &task, 403),
        ("/run", "Content-Type: text/plain\r\n".to_owned(), &task, 415),
        ("/run", String::new(), &task, 415),
        ("/run", JSON.to_owned(), "{\"task\":", 400),
        ("/run", JSON.to_owned(), "{}", 400),
        ("/run", JSON.to_owned(), r#"{"task":"  "}"#, 400),
        ("/run", JSON.to_owned(), r#"{"task":"true","agentId":"nobody-of-this-name"}"#, 400),
        ("/run", JSON.to_owned(), r#"{"task":"true","provider":"codex"}"#, 422),
        ("/runs", JSON.to_owned(), &task, 404),
        ("/health", JSON.to_owned(), &task, 405),
    ] {
        let answer = whole(served.post(path, &headers, body));
        assert_eq!(status(&answer), code, "{path} {headers:?} {body}: {answer}");
        assert!(body_of(&answer)["error"]["message"].is_string(), "{answer}");
        assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
    }
    assert_eq!(raw(format!("OPTIONS /run HTTP/1.1\r\nHost: {at}\r\n\r\n")), 405);
    assert_eq!(raw(format!("GET /run HTTP/1.1\r\nHost: {at}\r\n\r\n")), 405);
    assert_eq!(
        raw(format!(
            "POST /run HTTP/1.1\r\nHost: {at}\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )),
        411
    );
    assert_eq!(
        raw(format!("POST /run HTTP/1.1\r\nHost: {at}\r\n{JSON}Content-Length: 99999999\r\n\r\n")),
        413
    );
    assert_eq!(raw(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000))), 431);
    assert_eq!(raw("\x16\x03\x01\x02\r\n\r\n".to_owned()), 400);
    assert!(sandbox.ledger().events().is_empty());
    let health =
        whole(served.send(format!("GET /health HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n")));
    assert_eq!((status(&health), &body_of(&health)["status"]), (200, &json!("ok")));
    served.end(&sandbox);
}

#[test]
fn where_others_can_reach_it_there_has_to_be_a_token() {
    let sandbox = Sandbox::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let args = ["serve", "-b", "sh", "--http", address];
        let refused = sandbox.cx(args).refused(2, "can be reached from other machines");
        assert!(refused.stderr().contains("hint: --token-file FILE names one"), "{refused}");
    }
    for (args, why) in [
        (["--http", "nonsense"], "'nonsense' is no address to listen on"),
        (["--http", ":8080"], "it names no host"),
        (["--token-file", "none"], "the token file none cannot be read"),
        (["-b", "nothing"], "there is no backend 'nothing'"),
    ] {
        let http: &[&str] = if args[0] == "--http" { &[] } else { &["--http", "0"] };
        sandbox.cx([&["serve"], http, &args].concat()).refused(2, why);
    }
    std::fs::write(sandbox.repo().join("blank"), "\n").unwrap();
    let args = ["serve", "-b", "sh", "--http", "0", "--token-file", "blank"];
    sandbox.cx(args).refused(2, "the token file blank is empty");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    sandbox.cx(["serve", "-b", "sh", "--http", &address]).refused(2, "cannot listen on");
    sandbox.cx(["serve", "--http", "0"]).refused(127, "codex was not found");
    // What the configuration says of one's own jobs is not said of other people's.
    sandbox.write("../config/cx/config.toml", "backend = 'sh'\n");
    sandbox.cx(["serve", "--http", "0"]).refused(2, "runs commands");
}

#[test]
fn a_client_that_goes_away_ends_its_job() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    for (job, path) in [(1, "/run"), (2, "/run?stream=1")] {
        let gate = sandbox.gate(&format!("gate{job}"));
        let task = json!({ "task": gate.pass() }).to_string();
        let stream = served.post(path, JSON, &task);
        gate.arrived();
        drop(stream);
        let exited = sandbox.until(job, "exited");
        assert_eq!(exited["outcome"], "killed", "{exited}");
        // The name is made of the script's words, and those of where the test runs.
        let record = sandbox.job(&format!("%{job}"));
        let name = record["name"].as_str().expect("a name");
        let said = format!("[{job}] {name} killed 143, as its client went away");
        served.running.wait_for_stderr(&said);
    }
    served.end(&sandbox);
}

#[test]
fn when_the_server_ends_so_do_the_jobs_of_its_clients() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    let gates = ["one", "two"].map(|name| sandbox.gate(name));
    let [plain, mut stream] = [(0, "/run"), (1, "/run?stream=1")].map(|(at, path)| {
        let task = json!({ "task": gates[at].pass() }).to_string();
        let client = served.post(path, JSON, &task);
        gates[at].arrived();
        client
    });
    until(&mut stream, "\n\n");
    // A client that has not asked yet is no reason to stay.
    let idle = served.send("POST /run HT");
    // They are let in one after the other.
    whole(served.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    let said = served.end(&sandbox);
    assert!(said.contains("ending 3 requests") || said.contains("ending 4 requests"), "{said}");
    let answer = whole(plain);
    assert_eq!(status(&answer), 503, "{answer}");
    let rest = whole(stream);
    assert!(
        rest.contains("event: error\ndata: {") && rest.contains("the server was ended"),
        "{rest}"
    );
    assert_eq!(whole(idle), "");
    for job in ["%1", "%2"] {
        assert_eq!(sandbox.job(job)["status"], "killed");
    }
}

/// A server with one place, whose first request stands at the gate; the second one waits.
fn one_at_a_time(sandbox: &Sandbox) -> (Served, Gate, TcpStream, TcpStream) {
    let served = Served::start(sandbox, &["-b", "sh", "--max-jobs", "1"]);
    let gate = sandbox.gate("gate");
    let task = json!({ "task": gate.pass() }).to_string();
    let first = served.post("/run", JSON, &task);
    gate.arrived();
    let second = served.post("/run", JSON, &task);
    sandbox.until(2, "started");
    (served, gate, first, second)
}

#[test]
fn requests_wait_for_their_turn_and_only_so_many_are_let_in() {
    let sandbox = Sandbox::new();
    let (served, gate, first, second) = one_at_a_time(&sandbox);
    assert_eq!(sandbox.job("%2")["status"], "queued");
    // 62 more say nothing at all, and are in nobody's way but that of the next.
    let idle: Vec<TcpStream> = (0..62).map(|_| served.send("")).collect();
    let full = whole(served.send(""));
    assert_eq!(status(&full), 503, "{full}");
    gate.open();
    assert_eq!(status(&whole(first)), 200);
    assert_eq!(status(&whole(second)), 200);
    drop(idle);
    served.end(&sandbox);
}

#[test]
fn a_terminal_that_closes_ends_it_unless_it_was_told_to_stay() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    sandbox.sh(&format!("kill -HUP {}", served.running.id())).ok();
    served.running.finish().code(129);
    let mut script = sandbox.command("sh");
    script.args(["-c", "trap '' HUP; exec cx serve --http 0 -b sh"]);
    let running = sandbox.start(script);
    let address = running.first_line().replace("http://", "");
    sandbox.sh(&format!("kill -HUP {}", running.id())).ok();
    let served = Served { running, address };
    assert_eq!(served.run(&json!({ "task": "true" })).0, 200);
    sandbox.sh(&format!("kill -TERM {}", served.running.id())).ok();
    served.running.finish().code(143);
}

#[test]
fn half_a_request_is_no_request() {
    let sandbox = Sandbox::new();
    let served = Served::start(&sandbox, &["-b", "sh"]);
    let half = "POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"task\":\"true\"}";
    let stream = served.send(half);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(whole(stream), "");
    assert!(sandbox.ledger().events().is_empty());
    // One that asks for leave to send gets it.
    let mut patient = served.send(format!(
        "{}Expect: 100-continue\r\n\r\n",
        half.split("\r\n\r\n").next().unwrap().replace("500", "15") + "\r\n"
    ));
    assert_eq!(until(&mut patient, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    patient.write_all(b"{\"task\":\"true\"}").unwrap();
    assert_eq!(status(&whole(patient)), 200);
    served.end(&sandbox);
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let mut sandbox = Sandbox::new();
    sandbox.set("CX_PATIENCE_MS", "50");
    let served = Served::start(&sandbox, &["-b", "sh"]);
    let begun = "POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for part in ["", begun, &format!("{begun}Content-Length: 500\r\n\r\n{{\"task\"")] {
        let answer = whole(served.send(part));
        assert_eq!(status(&answer), 408, "{part:?}: {answer}");
    }
    assert!(sandbox.ledger().events().is_empty());
    // It asks, and never takes what it is answered: more than the kernel keeps for it.
    let long = json!({ "task": "head -c 20000000 /dev/zero | tr '\\0' a" }).to_string();
    let client = served.post("/run", JSON, &long);
    served.running.wait_for_stderr("succeeded");
    // The server waits for those it is at, and for this one no longer than that.
    served.end(&sandbox);
    let events = sandbox.ledger().events();
    assert!(!events.iter().any(|event| event["ev"] == "collected"), "{events:?}");
    drop(client);
}

#[test]
fn who_asks_too_soon_is_told_when() {
    let sandbox = Sandbox::new();
    let codex = |said: &str| {
        sandbox.script_tool(
            "codex",
            &format!(
                "[ \"$1\" = sandbox ] && exit 0; cat > /dev/null\n\
                 printf '%s\\n' '{{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}}' \
                 '{{\"type\":\"turn.failed\",\"error\":{{\"message\":\"{said}\"}}}}'; exit 1"
            ),
        );
    };
    codex("");
    let served = Served::start(&sandbox, &["-b", "codex"]);
    let asked = |said: &str| {
        codex(said);
        let answer = whole(served.post("/run", JSON, &json!({ "task": "Look" }).to_string()));
        assert_eq!(status(&answer), 429, "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap().to_owned();
        head.lines().find_map(|line| line.strip_prefix("Retry-After: ").map(str::to_owned))
    };
    let limit = "You have hit your usage limit.";
    assert_eq!(asked(limit).as_deref(), Some("60"));
    let soon = asked(&format!("{limit} Try again in 5 minutes.")).expect("a time");
    assert!((240..=300).contains(&soon.parse::<u32>().unwrap()), "{soon}");
    assert_eq!(asked(&format!("{limit} Quota exceeded")), None);
    served.end(&sandbox);
}

#[test]
fn a_job_that_is_queued_or_lost_ends_its_request_too() {
    let sandbox = Sandbox::new();
    sandbox.expect_leftovers();
    let (served, _gate, first, second) = one_at_a_time(&sandbox);
    drop(second);
    assert_eq!(sandbox.until(2, "exited")["outcome"], "killed");
    let supervisor = sandbox.until(1, "started")["supervisor"]["pid"].as_i64().unwrap();
    sandbox.sh(&format!("kill -9 {supervisor}")).ok();
    let answer = whole(first);
    assert_eq!((status(&answer), &body_of(&answer)["error"]["outcome"]), (500, &json!("lost")));
    served.end(&sandbox);
}

/// Both have one place, and one has to answer the other.
#[test]
fn a_job_that_asks_a_server_of_its_own_repository_lends_it_its_place() {
    let mut sandbox = Sandbox::new();
    sandbox.add_tool("curl");
    let served = Served::start(&sandbox, &["-b", "sh", "--max-jobs", "1"]);
    sandbox.set("CODEX_URL", served.url());
    for name in ["a", "b"] {
        sandbox.cx(["spawn", "-b", "http", "--max-jobs", "1", "-n", name, "echo hello"]).ok();
    }
    sandbox.cx(["wait", "a", "b"]).ok();
    assert_eq!(sandbox.cx(["logs", "b"]).ok().stdout().lines().last(), Some("hello"));
    // Nobody else gets a place by saying so.
    let gate = sandbox.gate("gate");
    let stop = gate.pass();
    sandbox.spawn_sh(["-n", "holds", "--max-jobs", "1", &stop]);
    let headers = format!("{JSON}Cx-Job-Id: 0123456789abcdef\r\n");
    let asked = served.post("/run", &headers, &json!({ "task": "true" }).to_string());
    sandbox.until(6, "started");
    assert_eq!(sandbox.job("%6")["status"], "queued");
    gate.open();
    assert_eq!(status(&whole(asked)), 200);
    served.end(&sandbox);
}

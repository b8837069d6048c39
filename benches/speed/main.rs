//! The speed of cx, as ratios to other programs in the same run.
//!
//! `scripts/bench` builds cx as it is released and runs this; `docs/performance.md`
//! says what each row means. Runs are interleaved and medians compared: ratios
//! hold from machine to machine, absolute times do not. Nothing here is a test,
//! and CI does not run it.
//!
//! `--quick` takes fewer samples; other words choose the measurements to be made.

mod ground;
mod many;
mod memory;
mod merging;
mod report;
mod starting;
mod waiting;

use std::{fs, io::Write, path::Path, process::ExitCode};

use report::Row;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

type Measurement = (&'static str, fn(bool) -> Result<Vec<Row>>);

const MEASUREMENTS: [Measurement; 10] = [
    ("spawn", starting::spawn),
    ("wait", waiting::wait),
    ("sleeping", waiting::sleeping),
    ("thousand", starting::thousand),
    ("jobs", starting::jobs),
    ("million", many::million),
    ("live", many::live),
    ("merge", merging::merge),
    ("memory", memory::memory),
    ("size", size),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.as_slice() {
        [flag, gate] if flag == "--worker" => waiting::worker(Path::new(gate)),
        args => measure(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("speed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Result<()> {
    let quick = args.iter().any(|arg| arg == "--quick");
    // `cargo bench` adds `--bench`.
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    if let Some(word) =
        wanted.iter().find(|word| MEASUREMENTS.iter().all(|(name, _)| name != *word))
    {
        let names = MEASUREMENTS.map(|(name, _)| name).join(", ");
        return Err(format!("there is no measurement '{word}'; there are {names}").into());
    }
    warn_if_busy();
    let mut rows = Vec::new();
    for (name, measurement) in MEASUREMENTS {
        if wanted.is_empty() || wanted.iter().any(|word| *word == name) {
            tell(format_args!("measuring: {name}"));
            rows.extend(measurement(quick)?);
        }
    }
    warn_if_busy();
    say(format_args!("{}", report::table(&rows)));
    Ok(())
}

/// Where programs wait for a processor, all of them seem to take equally long.
fn warn_if_busy() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    if load > 1.0 {
        tell(format_args!("the machine is busy (load {load}): ratios come out too near to 1"));
    }
}

/// The sizes of the binaries, as they are released.
fn size(_quick: bool) -> Result<Vec<Row>> {
    let row = |name: &str, path: &str, limit: &str, most: u64| -> Result<Row> {
        let bytes = fs::metadata(path)?.len();
        let figure = format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000);
        Ok(Row::figure(name, figure, limit, bytes < most))
    };
    Ok(vec![
        row("the binary", ground::BUILT, "6 MB", 6_000_000)?,
        row("the binary of `cx mcp`", env!("CARGO_BIN_EXE_cx-mcp"), "1.5 MB", 1_500_000)?,
    ])
}

/// Whether a program is installed.
fn has(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
}

fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn tell(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

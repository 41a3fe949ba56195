//! The parent: runs seeds in processes of their own, two at a time, and tells how they ended.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{scope, sleep},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use crate::{CHILD, ENGINE, clock::CLOCK};

/// Seeds that once found something, each with the engine that it is for and with what it found.
const KEPT: &str = include_str!("seeds.txt");
/// How many seeds run at a time.
const AT_A_TIME: usize = 2;
/// A seed that takes more of the processor's time hangs: it goes round in a circle. How long it takes otherwise is for the machine, which
/// may have other things to do.
const MOST_WORK: Duration = Duration::from_secs(60);
/// A seed that does nothing for so long hangs, too: the time that it waits for is simulated.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How much of a failed seed is shown.
const TAIL: usize = 150;

/// How a seed ended.
struct Ended {
    seed: u64,
    found: Vec<String>,
    trace: Vec<String>,
    counts: [u64; 3],
}

pub fn run() {
    let shim = shim();
    if let Some(seed) = std::env::var("SIMULATION_SEED").ok().filter(|seed| !seed.is_empty()) {
        let seed = seed.parse().expect("a seed is a number");
        let kept = KEPT.lines().filter_map(kept).find(|(kept, _)| *kept == seed);
        let engine = kept.map(|(_, engine)| engine).filter(|_| std::env::var_os(ENGINE).is_none());
        let ended = child(seed, engine, shim.as_deref());
        ended.trace.iter().for_each(|line| say(line));
        assert!(ended.found.is_empty(), "seed {seed}:\n{}", ended.found.join("\n"));
        return;
    }
    if let Ok(most) = std::env::var("SIMULATION_UNTIL_FOUND") {
        return until_found(most.parse().expect("how many seeds"), shim.as_deref());
    }
    let seconds = std::env::var("SIMULATION_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let kept: Vec<(u64, &str)> = KEPT.lines().filter_map(kept).collect();
    let first = first_fresh();
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    let ended: Mutex<Vec<Ended>> = Mutex::default();
    scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let (seed, engine) = match kept.get(usize::try_from(place).unwrap_or(usize::MAX)) {
                        Some((seed, engine)) => (*seed, Some(*engine)),
                        None if begun.elapsed() > Duration::from_secs(seconds) => return,
                        None => (first + place, None),
                    };
                    let one = child(seed, engine, shim.as_deref());
                    for found in &one.found {
                        say(&format!("seed {seed}: {found}"));
                    }
                    ended.lock().expect("a lock").push(one);
                }
            });
        }
    });
    conclude(&ended.into_inner().expect("a lock"), begun.elapsed());
}

/// Runs fresh seeds, at most so many, until one finds something that begins with a word of SIMULATION_WANTED, separated by `|`;
/// anything where there is none. Prints `UNTIL`, how many seeds that took, the seconds, the seed and what it found: for
/// `scripts/simulate-faults`.
fn until_found(most: u64, shim: Option<&Path>) {
    let wanted = std::env::var("SIMULATION_WANTED").unwrap_or_default();
    let is_wanted = |found: &str| wanted.split('|').any(|word| found.starts_with(word));
    let first = first_fresh();
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    // The lowest place that found something: with what is told, a run does not depend on who is faster.
    let found: Mutex<Option<(u64, String)>> = Mutex::default();
    let is_beaten = |place| found.lock().expect("a lock").as_ref().is_some_and(|(best, _)| *best < place);
    scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= most || is_beaten(place) {
                        return;
                    }
                    let one = child(first + place, None, shim);
                    if let Some(what) =
                        one.found.iter().find(|found| is_wanted(found)).filter(|_| !is_beaten(place))
                    {
                        *found.lock().expect("a lock") = Some((place, what.clone()));
                    } else if !one.found.is_empty() {
                        say(&format!("seed {} found something else: {}", one.seed, one.found[0]));
                    }
                }
            });
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    match found.into_inner().expect("a lock") {
        Some((place, what)) => {
            let line = what.lines().next().unwrap_or_default();
            say(&format!("UNTIL\t{}\t{seconds:.0}\t{}\t{line}", place + 1, first + place));
        }
        None => say(&format!("UNTIL\t-\t{seconds:.0}\t-\tnothing in {most} seeds")),
    }
}

fn conclude(ended: &[Ended], took: Duration) {
    let sum = |which: usize| ended.iter().map(|one| one.counts[which]).sum::<u64>();
    let failed: Vec<_> = ended.iter().filter(|one| !one.found.is_empty()).collect();
    for one in failed.iter().take(2) {
        say(&format!("---- seed {}, the end of it ----", one.seed));
        one.trace.iter().rev().take(TAIL).rev().for_each(|line| say(line));
    }
    say(&format!(
        "simulation: {} seeds, {} calls, {} faults, {} kills in {:.0} s; {} seeds found something",
        ended.len(),
        sum(0),
        sum(1),
        sum(2),
        took.as_secs_f64(),
        failed.len()
    ));
    let seeds: Vec<_> = failed.iter().map(|one| one.seed.to_string()).collect();
    assert!(
        seeds.is_empty(),
        "replay with SIMULATION_SEED=N cargo test --test simulation: {}",
        seeds.join(", ")
    );
}

/// A seed of a line, and its engine.
fn kept(line: &'static str) -> Option<(u64, &'static str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?))
}

/// Runs one seed, with an engine that is not the one that it or SIMULATION_ENGINE chooses, where one is given. A child that hangs does so
/// in real time, which no seed decides: it is run once more, and that is said.
fn child(seed: u64, engine: Option<&str>, shim: Option<&Path>) -> Ended {
    let (ended, hung) = attempt(seed, engine, shim);
    if !hung {
        return ended;
    }
    eprintln!("seed {seed} hung; it is run once more");
    attempt(seed, engine, shim).0
}

/// What one run of a seed brought, and whether it had to be ended.
fn attempt(seed: u64, engine: Option<&str>, shim: Option<&Path>) -> (Ended, bool) {
    let ground = tempfile::tempdir().expect("a directory");
    let out = ground.path().join("out");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "the_invariants_hold_under_every_seed", "--nocapture"])
        .env(CHILD, seed.to_string())
        .stdout(File::create(&out).expect("a file"))
        .stderr(File::create(ground.path().join("err")).expect("a file"))
        .stdin(Stdio::null());
    if let Some(engine) = engine {
        command.env(ENGINE, engine);
    }
    if let Some(shim) = shim {
        command.env("LD_PRELOAD", shim).env(CLOCK, clock_file(&ground));
    }
    let mut running = command.spawn().expect("this program starts");
    let (mut work, mut worked, mut hung) = (Duration::ZERO, Instant::now(), false);
    while running.try_wait().expect("a child").is_none() {
        let now = work_of(running.id()).unwrap_or(work);
        if now > work {
            (work, worked) = (now, Instant::now());
        }
        if work > MOST_WORK || worked.elapsed() > LONGEST_REST {
            hung = true;
            let _ = running.kill();
        }
        sleep(Duration::from_millis(5));
    }
    let text = String::from_utf8_lossy(&std::fs::read(&out).unwrap_or_default()).into_owned();
    let complaint =
        String::from_utf8_lossy(&std::fs::read(ground.path().join("err")).unwrap_or_default()).into_owned();
    (read(seed, &text, &complaint, hung), hung)
}

/// How long the processor has worked for a process.
fn work_of(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which may hold anything; in hundredths of a second on every Linux.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let hundredths: u64 = [11, 12].iter().filter_map(|place| fields.get(*place)?.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(hundredths * 10))
}

fn read(seed: u64, text: &str, complaint: &str, hung: bool) -> Ended {
    let mut ended = Ended { seed, found: Vec::new(), trace: Vec::new(), counts: [0; 3] };
    let mut counted = false;
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("TRACE", rest)) => ended.trace.push(rest.to_owned()),
            Some(("FOUND", rest)) => ended.found.push(rest.to_owned()),
            Some(("COUNT", rest)) => {
                counted = true;
                for (place, word) in rest.split_whitespace().take(3).enumerate() {
                    ended.counts[place] = word.parse().unwrap_or(0);
                }
            }
            _ => {
                if let Some(last) = ended.found.last_mut() {
                    last.push('\n');
                    last.push_str(line);
                }
            }
        }
    }
    if complaint.contains("panicked at") {
        ended.found.push(format!("nothing dies: a panic: {complaint}"));
    }
    if !counted {
        let what = if hung { "it never ended" } else { "it broke off" };
        ended.found.push(format!("the simulation itself: {what}: {complaint}"));
    }
    ended
}

fn clock_file(ground: &TempDir) -> PathBuf {
    let path = ground.path().join("clock");
    std::fs::write(&path, [0; 8]).expect("a file");
    path
}

/// Compiles the shim where it is not there yet; none, with a word, where nothing can.
fn shim() -> Option<PathBuf> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (source, clock) = (tests.join("simulation/shim.c"), tests.join("support/wall_clock.h"));
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation-shim.so");
    let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if time(&made).is_some_and(|made| Some(made) > time(&source).max(time(&clock))) {
        return Some(made);
    }
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O2", "-Wall", "-o"]).args([&made, &source]);
    match command.status() {
        Ok(status) if status.success() => Some(made),
        other => {
            say(&format!("no shim, a seed may not replay exactly: cc: {other:?}"));
            None
        }
    }
}

/// Fresh seeds differ from run to run, unless SIMULATION_FIRST says otherwise.
fn first_fresh() -> u64 {
    let chosen = std::env::var("SIMULATION_FIRST").ok().and_then(|text| text.parse().ok());
    chosen.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.as_secs() % 1_000_000 * 1_000
    })
}

/// Says something that shows also where the test passes.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

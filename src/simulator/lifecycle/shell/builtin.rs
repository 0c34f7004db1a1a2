//! The commands that are known by name.

use std::time::Duration;

use super::run::{Shell, Stop};
use super::syntax;

/// What a known command does with its arguments, its own name left out.
type Command = fn(&mut Shell, &[String]) -> Result<i32, Stop>;

const COMMANDS: &[(&str, Command)] = &[
    (":", |_, _| Ok(0)),
    ("true", |_, _| Ok(0)),
    ("false", |_, _| Ok(1)),
    ("echo", echo),
    ("printf", printf),
    ("sleep", sleep),
    ("exit", |shell, words| Err(Stop::Exit(code(words).unwrap_or(shell.status)))),
    ("return", |shell, words| Err(Stop::Exit(code(words).unwrap_or(shell.status)))),
    ("break", |_, _| Err(Stop::Break)),
    ("continue", |_, _| Err(Stop::Continue)),
    ("exec", |shell, words| shell.call(words)),
    ("command", |shell, words| shell.call(words)),
    ("time", |shell, words| shell.call(words)),
    ("eval", |shell, words| eval(shell, &words.join(" "))),
    ("sh", script),
    ("ash", script),
    ("bash", script),
    ("dash", script),
    ("env", env),
    ("printenv", env),
    ("export", export),
    ("set", |shell, words| {
        set(shell, words);
        Ok(0)
    }),
    ("cat", cat),
    ("tee", |shell, words| {
        let text = std::mem::take(&mut shell.input);
        shell.files.extend(words.iter().map(|name| (name.clone(), text.clone())));
        shell.print(shell.out, &text)?;
        Ok(0)
    }),
    ("seq", seq),
    ("cut", cut),
    ("grep", grep),
    ("test", |shell, words| Ok(test(shell, words))),
    ("[", |shell, words| Ok(test(shell, words.strip_suffix(&["]".to_owned()]).unwrap_or(words)))),
    // Every name that can be one is known.
    ("nslookup", |_, words| Ok(i32::from(words.iter().any(|word| word.split('.').any(|label| label.len() > 63))))),
    ("hostname", |shell, _| {
        let name = shell.variables.get("HOSTNAME").cloned().unwrap_or_default();
        shell.print(shell.out, &format!("{name}\n"))?;
        Ok(0)
    }),
    ("kill", kill),
    ("shift", |shell, _| {
        if shell.arguments.len() > 1 {
            shell.arguments.remove(1);
        }
        Ok(0)
    }),
    // What the operator's script does: run a command in a worker.
    ("kubexec.sh", |shell, words| eval(shell, &words.get(1..).unwrap_or_default().join(" "))),
];

/// Commands that succeed and print nothing that matters.
const SILENT: &[&str] = &[
    "cd", "chmod", "chown", "cp", "ln", "mkdir", "mv", "rm", "sync", "touch", "trap", "ulimit", "umask", "unset",
    "wait",
];

impl Shell {
    /// Runs a command by its words.
    pub fn call(&mut self, argv: &[String]) -> Result<i32, Stop> {
        let Some((name, words)) = argv.split_first() else { return Ok(0) };
        if name.starts_with("/no/such") {
            self.print(self.err, &format!("sh: {name}: not found\n"))?;
            return Ok(127);
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        if let Some((_, command)) = COMMANDS.iter().find(|(known, _)| *known == base) {
            return command(self, words);
        }
        if SILENT.contains(&base) { Ok(0) } else { self.unknown(&argv.join(" ")) }
    }

    /// A command that is not known: it succeeds, or serves until it is stopped.
    fn unknown(&mut self, command: &str) -> Result<i32, Stop> {
        self.print(self.out, &format!("simulated: {command}\n"))?;
        if self.serves { Err(Stop::Hang) } else { Ok(0) }
    }
}

fn code(words: &[String]) -> Option<i32> {
    words.first()?.parse::<i32>().ok().map(|code| code.rem_euclid(256))
}

fn echo(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let is_option = |word: &String| ["-n", "-e", "-en", "-ne"].contains(&word.as_str());
    let options = words.iter().take_while(|word| is_option(word)).count();
    let (options, words) = words.split_at(options);
    let mut text = words.join(" ");
    if options.iter().any(|option| option.contains('e')) {
        text = unescape(&text);
    }
    if !options.iter().any(|option| option.contains('n')) {
        text.push('\n');
    }
    shell.print(shell.out, &text)?;
    Ok(0)
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")
}

fn printf(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let Some((format, mut rest)) = words.split_first() else { return Ok(1) };
    let format = unescape(format);
    let mut text = String::new();
    loop {
        let before = rest.len();
        let mut pieces = format.split('%');
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let (start, tail) =
                piece.split_at(piece.find(|found: char| found.is_ascii_alphabetic()).map_or(0, |at| at + 1));
            if !start.is_empty()
                && let Some((value, others)) = rest.split_first()
            {
                text.push_str(value);
                rest = others;
            }
            text.push_str(tail);
        }
        if rest.is_empty() || rest.len() == before {
            break;
        }
    }
    shell.print(shell.out, &text)?;
    Ok(0)
}

/// `sleep 1.5 2m`. What sleeps for ever hangs.
fn sleep(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    for word in words {
        let (number, unit) = match word.find(|found: char| found.is_ascii_alphabetic()) {
            Some(at) => word.split_at(at),
            None => (word.as_str(), "s"),
        };
        let factor = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(Stop::Hang),
        };
        let seconds = number.parse::<f64>().ok().map(|number| Duration::try_from_secs_f64(number * factor));
        let Some(Ok(seconds)) = seconds else {
            shell.print(shell.err, &format!("sleep: invalid number '{word}'\n"))?;
            return Ok(1);
        };
        shell.clock = shell.clock.saturating_add(seconds);
    }
    Ok(0)
}

fn eval(shell: &mut Shell, script: &str) -> Result<i32, Stop> {
    let Some(node) = syntax::parse(script) else { return shell.unknown(script) };
    shell.run(&node)
}

/// `sh -c script`, `sh -ec script`, `sh file`.
fn script(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let Some(at) = words.iter().position(|word| word.starts_with('-') && word.ends_with('c')) else {
        let file = words.iter().find(|word| !word.starts_with('-'));
        return match file.and_then(|file| shell.files.get(file)).cloned() {
            Some(text) => eval(shell, &text),
            None if file.is_some() => shell.unknown(&format!("sh {}", words.join(" "))),
            None => Ok(0),
        };
    };
    let Some(text) = words.get(at + 1) else { return Ok(2) };
    let strict = words[..=at].iter().any(|word| word.contains('e'));
    let Some(node) = syntax::parse(text) else { return shell.unknown(&format!("sh {}", words.join(" "))) };
    // A shell of its own: what it sets is gone with it.
    let before = (shell.variables.clone(), shell.arguments.clone(), shell.exits_on_error);
    shell.arguments = words.get(at + 2..).unwrap_or_default().to_vec();
    shell.exits_on_error = strict;
    let result = shell.run(&node);
    (shell.variables, shell.arguments, shell.exits_on_error) = before;
    match result {
        Err(Stop::Exit(code)) => Ok(code),
        Err(Stop::Break | Stop::Continue) => Ok(0),
        other => other,
    }
}

fn env(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let settings = words.iter().take_while(|word| word.contains('=')).count();
    for word in &words[..settings] {
        if let Some((name, value)) = word.split_once('=') {
            shell.set(name, value.to_owned())?;
        }
    }
    if let Some(variable) = words.get(settings).and_then(|name| shell.variables.get(name)).cloned() {
        shell.print(shell.out, &format!("{variable}\n"))?;
        return Ok(0);
    }
    if settings < words.len() {
        return shell.call(&words[settings..]);
    }
    let all: String = shell.variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    shell.print(shell.out, &all)?;
    Ok(0)
}

fn export(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    for word in words {
        if let Some((name, value)) = word.split_once('=') {
            shell.set(name, value.to_owned())?;
        }
    }
    Ok(0)
}

fn set(shell: &mut Shell, words: &[String]) {
    for word in words.iter().filter(|word| word.starts_with(['-', '+'])) {
        let on = word.starts_with('-');
        if word.contains('e') {
            shell.exits_on_error = on;
        }
        if word.contains('x') {
            shell.traces = on;
        }
    }
}

fn cat(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    if words.is_empty() {
        let text = std::mem::take(&mut shell.input);
        shell.print(shell.out, &text)?;
    }
    let mut status = 0;
    for name in words {
        if let Some(text) = shell.files.get(name).cloned() {
            shell.print(shell.out, &text)?;
        } else {
            shell.print(shell.err, &format!("cat: can't open '{name}': No such file or directory\n"))?;
            status = 1;
        }
    }
    Ok(status)
}

fn seq(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let numbers: Vec<i64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let (first, step, last) = match numbers[..] {
        [last] => (1, 1, last),
        [first, last] => (first, 1, last),
        [first, step, last] if step != 0 => (first, step, last),
        _ => return Ok(1),
    };
    let mut text = String::new();
    let mut number = first;
    for _ in 0..100_000 {
        if (step > 0 && number > last) || (step < 0 && number < last) {
            break;
        }
        text.push_str(&format!("{number}\n"));
        number = number.saturating_add(step);
    }
    shell.print(shell.out, &text)?;
    Ok(0)
}

/// The lines that a filter works on: of the named files, or of standard input.
fn lines(shell: &mut Shell, names: &[&String]) -> String {
    match names {
        [] => std::mem::take(&mut shell.input),
        _ => names.iter().filter_map(|name| shell.files.get(*name)).cloned().collect(),
    }
}

/// `cut -d' ' -f1 file`
fn cut(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let (mut delimiter, mut field, mut names) = ("\t".to_owned(), 1, Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = |option: &str| {
            word.strip_prefix(option)
                .map(|tail| if tail.is_empty() { rest.next().cloned().unwrap_or_default() } else { tail.to_owned() })
        };
        if let Some(value) = value("-d") {
            delimiter = value;
        } else if let Some(value) = value("-f") {
            field = value.parse::<usize>().unwrap_or(1).max(1);
        } else {
            names.push(word);
        }
    }
    let text = lines(shell, &names);
    let found: String =
        text.lines().map(|line| format!("{}\n", line.split(&delimiter).nth(field - 1).unwrap_or_default())).collect();
    shell.print(shell.out, &found)?;
    Ok(0)
}

/// `grep [-q] [-v] text [file]`, the text taken as it is.
fn grep(shell: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    let (options, words): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.starts_with('-'));
    let has = |flag| options.iter().any(|option| option.contains(flag));
    let Some((wanted, names)) = words.split_first() else { return Ok(2) };
    let text = lines(shell, names);
    let found: Vec<_> = text.lines().filter(|line| line.contains(wanted.as_str()) != has('v')).collect();
    if !has('q') {
        let found: String = found.iter().map(|line| format!("{line}\n")).collect();
        shell.print(shell.out, &found)?;
    }
    Ok(i32::from(found.is_empty()))
}

/// `kill -9 $$`: the shell has number 1.
fn kill(_: &mut Shell, words: &[String]) -> Result<i32, Stop> {
    const SIGNALS: &[(&str, i32)] = &[("HUP", 1), ("INT", 2), ("ABRT", 6), ("KILL", 9), ("SEGV", 11), ("TERM", 15)];
    let signal = words.iter().find_map(|word| {
        let name = word.strip_prefix('-')?.trim_start_matches("SIG");
        name.parse().ok().or_else(|| SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number))
    });
    let is_self = words.iter().any(|word| word == "1");
    if is_self { Err(Stop::Exit(128 + signal.unwrap_or(15))) } else { Ok(0) }
}

fn test(shell: &Shell, words: &[String]) -> i32 {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    i32::from(!holds(shell, &words))
}

fn holds(shell: &Shell, words: &[&str]) -> bool {
    let number = |text: &str| text.trim().parse::<i64>().unwrap_or(0);
    let is_there = |name: &str| {
        let folder = format!("{}/", name.trim_end_matches('/'));
        shell.files.contains_key(name) || shell.files.keys().any(|file| file.starts_with(&folder))
    };
    match *words {
        ["!", ref rest @ ..] => !holds(shell, rest),
        ["-z", text] => text.is_empty(),
        [text] | ["-n", text] => !text.is_empty(),
        ["-f" | "-e" | "-r" | "-s" | "-d", name] => is_there(name),
        [left, "=" | "==", right] => left == right,
        [left, "!=", right] => left != right,
        [left, "-eq", right] => number(left) == number(right),
        [left, "-ne", right] => number(left) != number(right),
        [left, "-lt", right] => number(left) < number(right),
        [left, "-le", right] => number(left) <= number(right),
        [left, "-gt", right] => number(left) > number(right),
        [left, "-ge", right] => number(left) >= number(right),
        _ => false,
    }
}

//! Running a script: control flow, streams, variables.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Surroundings;
use super::syntax::{Node, Redirect, Target, Word};

/// Why a script does not go on with its next command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It ends with this code.
    Exit(i32),
    /// The innermost loop ends.
    Break,
    /// The innermost loop begins again.
    Continue,
    /// It waits, or works, for longer than anybody looks.
    Hang,
    /// It needs more memory than there is.
    OutOfMemory,
}

/// How many commands are played: what does more is taken for a loop without end.
const COMMANDS: usize = 5_000;
/// How deep commands may stand in each other, `eval` and `sh -c` included.
const DEPTH: usize = 100;
/// How long a variable may become: what is longer is taken for one that grows until memory is full.
const LONGEST: usize = 1 << 20;
/// How much may be printed.
const PRINTED: usize = 4 << 20;

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// The container's log.
    Log,
    /// A buffer, by its number.
    Buffer(usize),
    /// Nowhere.
    Null,
}

/// A shell at work.
#[derive(Debug)]
pub(super) struct Shell {
    pub variables: BTreeMap<String, String>,
    pub arguments: Vec<String>,
    pub files: BTreeMap<String, String>,
    pub clock: Duration,
    pub printed: Vec<(Duration, String)>,
    pub status: i32,
    /// What is read from standard input.
    pub input: String,
    pub out: Sink,
    pub err: Sink,
    pub exits_on_error: bool,
    pub traces: bool,
    /// Whether a command that is not known does not end.
    pub serves: bool,
    buffers: Vec<String>,
    commands: usize,
    /// How many commands stand in each other.
    pub depth: usize,
    bytes: usize,
    /// How many conditions are being tested, in which a failure is no error.
    tested: usize,
}

impl Shell {
    pub fn new(surroundings: &Surroundings) -> Self {
        Self {
            variables: surroundings.variables.clone(),
            arguments: Vec::new(),
            files: surroundings.files.clone(),
            clock: Duration::ZERO,
            printed: Vec::new(),
            status: 0,
            input: String::new(),
            out: Sink::Log,
            err: Sink::Log,
            exits_on_error: false,
            traces: false,
            serves: surroundings.serves,
            buffers: Vec::new(),
            commands: 0,
            depth: 0,
            bytes: 0,
            tested: 0,
        }
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: String) -> Result<(), Stop> {
        if value.len() > LONGEST {
            return Err(Stop::OutOfMemory);
        }
        self.variables.insert(name.to_owned(), value);
        Ok(())
    }

    /// Prints to a stream.
    pub fn print(&mut self, sink: Sink, text: &str) -> Result<(), Stop> {
        self.bytes += text.len();
        if self.bytes > PRINTED {
            return Err(Stop::Hang);
        }
        match sink {
            Sink::Null => {}
            Sink::Buffer(number) => self.buffers[number].push_str(text),
            Sink::Log => match self.printed.last_mut() {
                Some((at, last)) if *at == self.clock => last.push_str(text),
                _ => self.printed.push((self.clock, text.to_owned())),
            },
        }
        Ok(())
    }

    /// Runs `work` with standard output caught in a buffer.
    pub fn caught(&mut self, work: impl FnOnce(&mut Self) -> Result<i32, Stop>) -> Result<String, Stop> {
        self.buffers.push(String::new());
        let number = self.buffers.len() - 1;
        let before = std::mem::replace(&mut self.out, Sink::Buffer(number));
        let result = self.contained(work);
        self.out = before;
        let text = self.buffers.pop().unwrap_or_default();
        self.status = result?;
        Ok(text)
    }

    /// Runs `work` as a process of its own: `exit` ends it alone.
    fn contained(&mut self, work: impl FnOnce(&mut Self) -> Result<i32, Stop>) -> Result<i32, Stop> {
        match work(self) {
            Err(Stop::Exit(code)) => Ok(code),
            other => other,
        }
    }

    pub fn run(&mut self, node: &Node) -> Result<i32, Stop> {
        self.commands += 1;
        if self.commands > COMMANDS || self.depth > DEPTH {
            return Err(Stop::Hang);
        }
        self.depth += 1;
        let result = self.run_one(node);
        self.depth -= 1;
        result
    }

    fn run_one(&mut self, node: &Node) -> Result<i32, Stop> {
        match node {
            Node::Simple { assignments, words, redirects } => self.simple(assignments, words, redirects),
            Node::Pipeline { commands, negated } => self.pipeline(commands, *negated),
            Node::And(left, right) => self.either(left, right, true),
            Node::Or(left, right) => self.either(left, right, false),
            Node::Sequence(commands) => self.sequence(commands),
            Node::Background(body) => self.background(body),
            Node::For { variable, words, body } => self.each(variable, words, body),
            Node::While { condition, body, until } => self.repeat(condition, body, *until),
            Node::If { branches, otherwise } => self.branch(branches, otherwise.as_deref()),
            Node::Case { word, arms } => self.case(word, arms),
            Node::Group { body, subshell, redirects } => self.redirected(redirects, |shell| {
                if !subshell {
                    return shell.run(body);
                }
                let variables = shell.variables.clone();
                let result = shell.contained(|shell| shell.run(body));
                shell.variables = variables;
                result
            }),
        }
    }

    fn sequence(&mut self, commands: &[Node]) -> Result<i32, Stop> {
        self.status = if commands.is_empty() { 0 } else { self.status };
        for command in commands {
            self.status = self.run(command)?;
            let is_condition = matches!(command, Node::And(..) | Node::Or(..) | Node::Pipeline { negated: true, .. });
            if self.exits_on_error && self.status != 0 && self.tested == 0 && !is_condition {
                return Err(Stop::Exit(self.status));
            }
        }
        Ok(self.status)
    }

    /// Runs what is only asked for its status.
    fn test(&mut self, condition: &Node) -> Result<bool, Stop> {
        self.tested += 1;
        let result = self.run(condition);
        self.tested -= 1;
        self.status = result?;
        Ok(self.status == 0)
    }

    fn either(&mut self, left: &Node, right: &Node, wanted: bool) -> Result<i32, Stop> {
        if self.test(left)? == wanted { self.run(right) } else { Ok(self.status) }
    }

    fn pipeline(&mut self, commands: &[Node], negated: bool) -> Result<i32, Stop> {
        let mut status = 0;
        for (index, command) in commands.iter().enumerate() {
            if index + 1 < commands.len() {
                self.input = self.caught(|shell| shell.run(command))?;
            } else {
                status = self.contained(|shell| shell.run(command))?;
                self.input.clear();
            }
        }
        Ok(if negated { i32::from(status == 0) } else { status })
    }

    /// Runs beside what follows: its output is there, its time does not count.
    fn background(&mut self, body: &Node) -> Result<i32, Stop> {
        let clock = self.clock;
        let result = self.contained(|shell| shell.run(body));
        self.clock = clock;
        match result {
            Ok(_) | Err(Stop::Hang) => Ok(0),
            Err(stop) => Err(stop),
        }
    }

    fn each(&mut self, variable: &str, words: &[Word], body: &Node) -> Result<i32, Stop> {
        let mut status = 0;
        for value in self.fields(words)? {
            self.set(variable, value)?;
            match self.run(body) {
                Ok(code) => status = code,
                Err(Stop::Break) => break,
                Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(status)
    }

    fn repeat(&mut self, condition: &Node, body: &Node, until: bool) -> Result<i32, Stop> {
        let mut status = 0;
        while self.test(condition)? != until {
            match self.run(body) {
                Ok(code) => status = code,
                Err(Stop::Break) => break,
                Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(status)
    }

    fn branch(&mut self, branches: &[(Node, Node)], otherwise: Option<&Node>) -> Result<i32, Stop> {
        for (condition, body) in branches {
            if self.test(condition)? {
                return self.run(body);
            }
        }
        otherwise.map_or(Ok(0), |body| self.run(body))
    }

    fn case(&mut self, word: &Word, arms: &[(Vec<Word>, Node)]) -> Result<i32, Stop> {
        let value = self.text(word)?;
        for (patterns, body) in arms {
            for pattern in patterns {
                if self.pattern(pattern)?.matches(&value) {
                    return self.run(body);
                }
            }
        }
        Ok(0)
    }

    fn simple(&mut self, assignments: &[(String, Word)], words: &[Word], redirects: &[Redirect]) -> Result<i32, Stop> {
        let argv = self.fields(words)?;
        if argv.is_empty() {
            self.status = 0;
            for (name, value) in assignments {
                let value = self.text(value)?;
                self.set(name, value)?;
            }
            return self.redirected(redirects, |shell| Ok(shell.status));
        }
        let before = self.variables.clone();
        for (name, value) in assignments {
            let value = self.text(value)?;
            self.set(name, value)?;
        }
        if self.traces {
            self.print(self.err, &format!("+ {}\n", argv.join(" ")))?;
        }
        let result = self.redirected(redirects, |shell| shell.call(&argv));
        if !assignments.is_empty() {
            self.variables = before;
        }
        result
    }

    /// Runs `work` with its streams as `redirects` say.
    fn redirected(
        &mut self,
        redirects: &[Redirect],
        work: impl FnOnce(&mut Self) -> Result<i32, Stop>,
    ) -> Result<i32, Stop> {
        let before = (self.out, self.err);
        let mut written = Vec::new();
        for redirect in redirects {
            let sink = match &redirect.to {
                Target::Read(name) => {
                    let name = self.text(name)?;
                    let Some(text) = self.files.get(&name) else {
                        self.print(self.err, &format!("sh: can't open {name}: no such file\n"))?;
                        return Ok(1);
                    };
                    self.input = text.clone();
                    continue;
                }
                Target::Stream(1) => self.out,
                Target::Stream(2) => self.err,
                Target::Stream(_) => Sink::Null,
                Target::File { name, append } => self.open(name, *append, &mut written)?,
            };
            match redirect.from {
                1 => self.out = sink,
                2 => self.err = sink,
                _ => {}
            }
        }
        let result = work(self);
        (self.out, self.err) = before;
        for name in written.into_iter().rev() {
            let text = self.buffers.pop().unwrap_or_default();
            self.files.insert(name, text);
        }
        result
    }

    /// Opens a file for writing; it is kept in a buffer until its command is over.
    fn open(&mut self, name: &Word, append: bool, written: &mut Vec<String>) -> Result<Sink, Stop> {
        let name = self.text(name)?;
        match name.as_str() {
            "/dev/null" => Ok(Sink::Null),
            "/dev/stdout" | "/proc/1/fd/1" => Ok(self.out),
            "/dev/stderr" | "/proc/1/fd/2" => Ok(self.err),
            _ => {
                let kept = if append { self.files.get(&name).cloned().unwrap_or_default() } else { String::new() };
                self.buffers.push(kept);
                written.push(name);
                Ok(Sink::Buffer(self.buffers.len() - 1))
            }
        }
    }
}

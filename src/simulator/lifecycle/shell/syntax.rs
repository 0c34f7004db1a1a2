//! The part of the shell's grammar that is understood, and its reader.
//!
//! Source of the grammar: POSIX.1-2024, "Shell Command Language". Functions, here-documents and aliases are left out.

/// A command, or several.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// `a=1 echo hello >file`
    Simple { assignments: Vec<(String, Word)>, words: Vec<Word>, redirects: Vec<Redirect> },
    /// `a | b`, with `!` before it or not
    Pipeline { commands: Vec<Node>, negated: bool },
    /// `a && b`
    And(Box<Node>, Box<Node>),
    /// `a || b`
    Or(Box<Node>, Box<Node>),
    /// `a; b`
    Sequence(Vec<Node>),
    /// `a &`
    Background(Box<Node>),
    /// `for variable in words; do body; done`
    For { variable: String, words: Vec<Word>, body: Box<Node> },
    /// `while condition; do body; done`; `until` turns the condition around
    While { condition: Box<Node>, body: Box<Node>, until: bool },
    /// `if a; then b; elif c; then d; else e; fi`
    If { branches: Vec<(Node, Node)>, otherwise: Option<Box<Node>> },
    /// `case word in pattern|pattern) body;; esac`
    Case { word: Word, arms: Vec<(Vec<Word>, Node)> },
    /// `{ a; b; }` or `( a; b )`
    Group { body: Box<Node>, subshell: bool, redirects: Vec<Redirect> },
}

/// A word before it is expanded.
pub(super) type Word = Vec<Part>;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// Text; what is quoted is neither a pattern nor split.
    Text { text: String, quoted: bool },
    /// `$name`, `${name}`, `${name:-word}`
    Variable { name: String, default: Option<Word>, quoted: bool },
    /// `$(command)`
    Command { body: Box<Node>, quoted: bool },
    /// `$((1 + 2))`
    Arithmetic(String),
}

/// `2>file`: which stream goes where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Redirect {
    /// The stream: 0, 1 or 2.
    pub from: u8,
    /// What it becomes.
    pub to: Target,
}

/// Where a stream goes, or comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// `>file`, `>>file`
    File { name: Word, append: bool },
    /// `<file`
    Read(Word),
    /// `>&2`
    Stream(u8),
}

/// Reads a script; `None` if it has something that is not understood.
pub(super) fn parse(script: &str) -> Option<Node> {
    let mut reader = Reader { text: script.chars().collect(), at: 0, depth: 0 };
    let node = reader.list(&[])?;
    reader.blank();
    (reader.at == reader.text.len()).then_some(node)
}

/// How deep commands may stand in each other.
const DEPTH: usize = 50;

/// A script that is being read.
pub(super) struct Reader {
    pub text: Vec<char>,
    pub at: usize,
    pub depth: usize,
}

impl Reader {
    pub fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    pub fn looks_at(&self, text: &str) -> bool {
        let mut at = self.at;
        text.chars().all(|expected| {
            at += 1;
            self.text.get(at - 1) == Some(&expected)
        })
    }

    pub fn take(&mut self, text: &str) -> bool {
        let found = self.looks_at(text);
        if found {
            self.at += text.chars().count();
        }
        found
    }

    /// Skips blanks, comments and joined lines.
    fn blank(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.looks_at("\\\n") => self.at += 2,
                Some('#') => {
                    while self.peek().is_some_and(|found| found != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn blank_lines(&mut self) {
        self.blank();
        while self.peek() == Some('\n') {
            self.at += 1;
            self.blank();
        }
    }

    /// Whether the next word is this reserved one.
    fn at_word(&self, word: &str) -> bool {
        let after = self.text.get(self.at + word.chars().count());
        self.looks_at(word) && after.is_none_or(|after| after.is_whitespace() || ";&|()".contains(*after))
    }

    fn keyword(&mut self, word: &str) -> Option<()> {
        self.blank_lines();
        (self.at_word(word) && self.take(word)).then_some(())
    }

    /// Commands up to the end, or to one of these words.
    pub fn list(&mut self, ends: &[&str]) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let mut commands = Vec::new();
        loop {
            self.blank_lines();
            let ended = self.peek().is_none_or(|found| found == ')')
                || self.looks_at(";;")
                || ends.iter().any(|end| self.at_word(end));
            if ended {
                break;
            }
            let mut command = self.chain()?;
            self.blank();
            if self.looks_at("&") && !self.looks_at("&&") {
                self.at += 1;
                command = Node::Background(Box::new(command));
            } else if self.looks_at(";") && !self.looks_at(";;") {
                self.at += 1;
            } else if self.peek().is_some_and(|found| found != '\n' && found != ')') && !self.looks_at(";;") {
                return None;
            }
            commands.push(command);
        }
        self.depth -= 1;
        Some(Node::Sequence(commands))
    }

    fn chain(&mut self) -> Option<Node> {
        let mut left = self.pipeline()?;
        loop {
            self.blank();
            let is_and = self.take("&&");
            if !is_and && !self.take("||") {
                return Some(left);
            }
            self.blank_lines();
            let right = Box::new(self.pipeline()?);
            left = if is_and { Node::And(Box::new(left), right) } else { Node::Or(Box::new(left), right) };
        }
    }

    fn pipeline(&mut self) -> Option<Node> {
        self.blank();
        let negated = self.at_word("!") && self.take("!");
        let mut commands = vec![self.command()?];
        loop {
            self.blank();
            if self.looks_at("||") || !self.take("|") {
                break;
            }
            self.blank_lines();
            commands.push(self.command()?);
        }
        match commands.pop() {
            Some(only) if commands.is_empty() && !negated => Some(only),
            last => {
                commands.extend(last);
                Some(Node::Pipeline { commands, negated })
            }
        }
    }

    fn command(&mut self) -> Option<Node> {
        self.blank();
        if self.take("(") {
            let body = self.list(&[])?;
            return self.group(body, ")", true);
        }
        if self.at_word("{") && self.take("{") {
            let body = self.list(&["}"])?;
            return self.group(body, "}", false);
        }
        for (word, read) in COMPOUND {
            if self.at_word(word) {
                self.take(word);
                return read(self);
            }
        }
        self.simple()
    }

    fn group(&mut self, body: Node, end: &str, subshell: bool) -> Option<Node> {
        if !self.take(end) {
            return None;
        }
        let mut redirects = Vec::new();
        self.blank();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
            self.blank();
        }
        Some(Node::Group { body: Box::new(body), subshell, redirects })
    }

    fn body(&mut self) -> Option<Box<Node>> {
        self.blank();
        self.take(";");
        self.keyword("do")?;
        let body = self.list(&["done"])?;
        self.keyword("done")?;
        Some(Box::new(body))
    }

    fn read_for(&mut self) -> Option<Node> {
        self.blank();
        let variable = self.name();
        let mut words = Vec::new();
        self.keyword("in")?;
        self.blank();
        while self.peek().is_some_and(|found| !";\n".contains(found)) {
            words.push(self.word()?);
            self.blank();
        }
        let body = self.body()?;
        (!variable.is_empty()).then_some(Node::For { variable, words, body })
    }

    fn read_loop(&mut self, until: bool) -> Option<Node> {
        let condition = Box::new(self.list(&["do"])?);
        Some(Node::While { condition, body: self.body()?, until })
    }

    fn read_if(&mut self) -> Option<Node> {
        let (mut branches, mut otherwise) = (Vec::new(), None);
        loop {
            let condition = self.list(&["then"])?;
            self.keyword("then")?;
            branches.push((condition, self.list(&["elif", "else", "fi"])?));
            if self.keyword("elif").is_some() {
                continue;
            }
            if self.keyword("else").is_some() {
                otherwise = Some(Box::new(self.list(&["fi"])?));
            }
            self.keyword("fi")?;
            return Some(Node::If { branches, otherwise });
        }
    }

    fn read_case(&mut self) -> Option<Node> {
        self.blank();
        let word = self.word()?;
        self.keyword("in")?;
        let mut arms = Vec::new();
        while self.keyword("esac").is_none() {
            self.take("(");
            let mut patterns = Vec::new();
            loop {
                self.blank();
                patterns.push(self.word()?);
                self.blank();
                if !self.take("|") {
                    break;
                }
            }
            if !self.take(")") {
                return None;
            }
            arms.push((patterns, self.list(&["esac"])?));
            self.blank_lines();
            self.take(";;");
        }
        Some(Node::Case { word, arms })
    }

    fn simple(&mut self) -> Option<Node> {
        let (mut assignments, mut words, mut redirects) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.blank();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            if self.peek().is_none_or(|found| ";&|()\n".contains(found)) {
                break;
            }
            let assignment = if words.is_empty() { self.assignment() } else { None };
            match assignment {
                Some(assignment) => assignments.push(assignment),
                None => words.push(self.word()?),
            }
        }
        let is_empty = assignments.is_empty() && words.is_empty() && redirects.is_empty();
        // `name() {` defines a function, which is not understood.
        (!is_empty && self.peek() != Some('(')).then_some(Node::Simple { assignments, words, redirects })
    }

    fn assignment(&mut self) -> Option<(String, Word)> {
        let start = self.at;
        let name = self.name();
        if name.is_empty() || !self.take("=") {
            self.at = start;
            return None;
        }
        let has_value = self.peek().is_some_and(|found| !found.is_whitespace() && !";&|()".contains(found));
        let value = if has_value { self.word()? } else { Vec::new() };
        Some((name, value))
    }

    pub fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(found) = self.peek() {
            let fits = found == '_' || found.is_ascii_alphabetic() || (found.is_ascii_digit() && !name.is_empty());
            if !fits {
                break;
            }
            name.push(found);
            self.at += 1;
        }
        name
    }

    /// A redirection, if one stands here; `None` if it is one that is not understood.
    #[allow(clippy::option_option)] // whether one stands here is a different question from whether it is understood
    fn redirect(&mut self) -> Option<Option<Redirect>> {
        let start = self.at;
        let both = self.take("&>");
        let from = match self.peek() {
            Some(digit @ '0'..='2') if matches!(self.text.get(self.at + 1), Some('>' | '<')) => {
                self.at += 1;
                digit as u8 - b'0'
            }
            Some('<') => 0,
            _ => 1,
        };
        let append = self.take(">>");
        if append || both || self.take(">") {
            if !append && self.take("&") {
                let to = self.peek().and_then(|digit| digit.to_digit(10))?;
                self.at += 1;
                return Some(Some(Redirect { from, to: Target::Stream(u8::try_from(to).ok()?) }));
            }
            self.blank();
            return Some(Some(Redirect { from, to: Target::File { name: self.word()?, append } }));
        }
        if self.looks_at("<<") {
            return None;
        }
        if self.take("<") {
            self.blank();
            return Some(Some(Redirect { from: 0, to: Target::Read(self.word()?) }));
        }
        self.at = start;
        Some(None)
    }
}

/// The words that begin a compound command.
type Compound = (&'static str, fn(&mut Reader) -> Option<Node>);
const COMPOUND: [Compound; 5] = [
    ("for", Reader::read_for),
    ("while", |reader| reader.read_loop(false)),
    ("until", |reader| reader.read_loop(true)),
    ("if", Reader::read_if),
    ("case", Reader::read_case),
];

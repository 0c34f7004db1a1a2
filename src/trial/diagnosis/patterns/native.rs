//! Compiled programs and runtimes: the C library, Java, Node.js, Go.

use super::Pattern;

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern::fatal("library-missing", r"error while loading shared libraries: (?P<library>[^:\s]+)", "the image lacks the system package that brings `{library}`").ending(&[127]),
    Pattern::fatal("library-old", r"version `(?P<version>GLIBC(?:XX)?_[\d.]+)' not found", "the program is built for a newer system than the image's: it needs {version}"),
    Pattern::fatal("exec-format", r"exec format error|Exec format error|cannot execute binary file", "the image is built for another CPU than the node's").ending(&[1, 126, 255]),
    Pattern::fatal("cpp-exception", r"^\s*(?P<what>what\(\):\s+.*)", "").ending(&[134]),
    Pattern::fatal("cpp-terminate", r"(?P<what>terminate called (?:after throwing an instance of|without an active exception).*|libc\+\+abi: .*)", "").ending(&[134]),
    Pattern::fatal("assertion", r"Assertion [`'].*' failed|Assertion failed:|Check failed: |CHECK failed", "").ending(&[134]),
    Pattern::fatal("heap", r"double free or corruption|free\(\): invalid|malloc\(\): |corrupted size vs|munmap_chunk|stack smashing detected", "native code broke its own memory: check that the image's native libraries fit each other").ending(&[134]),
    Pattern::fatal("segmentation-fault", r"[Ss]egmentation fault|SIGSEGV|SIGBUS", "native code crashed: check that the image fits the node's CPU and that its native libraries fit each other").ending(&[139, 135, 134]),
    Pattern::fatal("illegal-instruction", r"[Ii]llegal instruction", "the program is built for another CPU than the node's").ending(&[132]),
    // Java
    Pattern::fatal("java-memory", r"java\.lang\.OutOfMemoryError", "give Java a larger heap (-Xmx, or -XX:MaxRAMPercentage) and the container the memory for it").ending(&[3]),
    Pattern::fatal("java-class", r"ClassNotFoundException|NoClassDefFoundError|NoSuchMethodError|Could not find or load main class", "a jar is missing from the class path, or has another version"),
    Pattern::fatal("java-version", r"UnsupportedClassVersionError", "the image's Java is older than the one that the program was compiled for"),
    Pattern::fatal("java-jar", r"(?P<what>Error: Unable to access jarfile (?P<path>\S+).*)", "the image has no `{path}`"),
    Pattern::fatal("java-exception", r#"(?P<what>Exception in thread "[^"]*" .*)"#, ""),
    // Node.js
    Pattern::fatal("node-module", r"Cannot find (?:module|package) '(?P<module>[^']+)'", "`{module}` is not in the image: run npm install when it is built"),
    Pattern::fatal("node-memory", r"JavaScript heap out of memory|Reached heap limit", "raise --max-old-space-size, and the container's memory limit").ending(&[134]),
    Pattern::echo("npm", r"(?P<what>npm (?:ERR!|error) .*|error Command failed with exit code.*)", ""),
    // Go
    Pattern::fatal("go-flag", r"(?P<what>flag provided but not defined: (?P<flag>\S+).*|.*unknown (?:shorthand )?flag: .*|Error: unknown (?:command|flag).*)", "the arguments in the manifest don't fit the program in the image").ending(&[2]),
];

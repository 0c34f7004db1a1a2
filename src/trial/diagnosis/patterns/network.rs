//! Names, connections, certificates, downloads, in the words of Python, Go, Java, curl and wget.

use super::Pattern;

const NAME: &str =
    "there is no DNS entry for that name: check that the Service exists, and whether the cluster may reach the network";
const TRUST: &str = "the certificate is not trusted in the image: add the CA, or use an address whose certificate is";
const SLOW: &str = "nothing answered in time: check the address, and whether the cluster may reach the network";
const BUSY: &str = "the server is busy or down: a retry may help, a copy in the image always does";

pub(super) const PATTERNS: &[Pattern] = &[
    Pattern::fatal(
        "name-unknown",
        r"Name or service not known|Temporary failure in name resolution|nodename nor servname|getaddrinfo (?:failed|ENOTFOUND|EAI_AGAIN)|no such host|NameResolutionError|: NXDOMAIN|[Cc]ould not resolve host|UnknownHostException|bad address|unable to resolve host|Name does not resolve",
        NAME,
    ),
    Pattern::fatal(
        "not-trusted",
        r"CERTIFICATE_VERIFY_FAILED|SSLError|SSLHandshakeException|certificate verify failed|x509: |SSL certificate problem|PKIX path building failed|self[- ]signed certificate",
        TRUST,
    ),
    Pattern::fatal(
        "too-many-requests",
        r"HTTP Error 429|429 Client Error|Too Many Requests|ERROR 429|returned error: 429",
        BUSY,
    ),
    Pattern::fatal(
        "http-refused",
        r"HTTP Error 4\d\d|\b4\d\d Client Error|ERROR 4\d\d: |returned error: 4\d\d|server returned error: HTTP/1.\d 4\d\d",
        "the server refuses that address or no longer has it: newer versions of a library may know another one",
    ),
    Pattern::fatal(
        "http-broken",
        r"HTTP Error 5\d\d|\b5\d\d Server Error|ERROR 5\d\d: |returned error: 5\d\d|Bad Gateway|Service Unavailable",
        BUSY,
    ),
    Pattern::echo(
        "refused",
        r"[Cc]onnection [Rr]efused|ConnectionRefusedError|ECONNREFUSED|NoBrokersAvailable",
        "nothing listens there: the server is not up yet, has ended, or has another port",
    ),
    Pattern::fatal(
        "unanswered",
        r"Read timed out|ConnectTimeout|ReadTimeout|[Cc]onnection timed out|i/o timeout|context deadline exceeded|Network is unreachable|No route to host|SocketTimeoutException|ETIMEDOUT|urlopen error timed out|Max retries exceeded|TimeoutError: ",
        SLOW,
    ),
    Pattern::fatal(
        "download",
        r"(?P<what>(?:urllib\.error\.)?URLError: .*|curl: \(\d+\) .*|wget: .*)",
        "a download failed: put what it fetches into the image or a volume, or fetch it from a mirror",
    ),
];

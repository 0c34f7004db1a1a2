//! One request for samples.

use std::pin::pin;
use std::time::Duration;

use futures::AsyncReadExt;
use http::Request;
use kube::Client;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::chain;
use crate::trial::diagnosis::clean::one_line;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes. A kubelet's, about 500 pods, has 1 to 2 MB.
const MOST: u64 = 16 << 20;
/// Characters of what an error says.
const LONGEST: usize = 200;

/// What a name may not bring into a path.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The kubelet of a node, of all that runs there.
    Node(String),
    /// The metrics server, of a namespace.
    Namespace(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// We may not ask, or there is nobody to be asked: that stays so.
    Refused(String),
    /// It does not work: that stays so if it happens again and again.
    Broken(String),
    /// It passes.
    Moment(String),
    /// An answer that leaves all containers out, to a question for CPU and memory alone: the long one has them.
    Bare(String),
}

impl Failure {
    /// What was said.
    pub fn message(&self) -> &str {
        match self {
            Self::Refused(message) | Self::Broken(message) | Self::Moment(message) | Self::Bare(message) => message,
        }
    }
}

/// Asks once; a kubelet for nothing but CPU and memory, or for all that it `tells_all`.
pub async fn ask(client: Client, ask: &Ask, tells_all: bool) -> Result<Vec<u8>, Failure> {
    let path = match ask {
        // Nothing but CPU and memory, which spares the kubelet the file systems. An old one ignores it, and one with the gate
        // PodAndContainerStatsFromCRI leaves all containers out.
        Ask::Node(node) => {
            let only = if tells_all { "" } else { "?only_cpu_and_memory=true" };
            format!("/api/v1/nodes/{}/proxy/stats/summary{only}", segment(node))
        }
        Ask::Namespace(namespace) => format!("/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods", segment(namespace)),
    };
    let request = Request::get(path).body(Vec::new()).map_err(|error| Failure::Refused(error.to_string()))?;
    let answer = async {
        let reader = client.request_stream(request).await.map_err(|error| failure(&error))?;
        let mut answer = Vec::new();
        let cut = |error: std::io::Error| Failure::Broken(one_line(&chain(&error), LONGEST));
        pin!(reader).take(MOST + 1).read_to_end(&mut answer).await.map_err(cut)?;
        let fits = u64::try_from(answer.len()).is_ok_and(|length| length <= MOST);
        fits.then_some(answer).ok_or_else(|| Failure::Broken(format!("the answer has more than {} MiB", MOST >> 20)))
    };
    let late = || Failure::Broken(format!("no answer within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
}

/// A name inside of a path, which stays inside.
fn segment(name: &str) -> String {
    utf8_percent_encode(name, UNSAFE).to_string()
}

fn failure(error: &kube::Error) -> Failure {
    let kube::Error::Api(status) = error else { return Failure::Broken(one_line(&chain(error), LONGEST)) };
    let message = format!("{}: {}", status.code, one_line(&status.message, LONGEST));
    match status.code {
        403..=405 => Failure::Refused(message),
        // A token that is being renewed, a request that was slow, one too many.
        401 | 408 | 429 => Failure::Moment(message),
        _ => Failure::Broken(message),
    }
}

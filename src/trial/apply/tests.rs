use kube::{Client, Config};
use wiremock::MockServer;

/// A client of a loopback server, without the client's own retries.
pub(crate) fn client(server: &MockServer) -> Client {
    let mut config = Config::new(server.uri().parse().unwrap());
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

//! What every HTTP client of this program begins with.

/// Chooses the cryptography of TLS for the whole process.
pub(crate) fn choose_cryptography() {
    // An error means that another part of the program has already chosen, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that says who it is. How long it waits, and whether it follows redirects, is its user's choice.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    choose_cryptography();
    reqwest::Client::builder().user_agent(concat!("example-validator/", env!("CARGO_PKG_VERSION")))
}

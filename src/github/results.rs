//! The results service that is behind artifacts and cache: Twirp over HTTP, and blobs by signed addresses.

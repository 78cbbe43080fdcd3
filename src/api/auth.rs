//! Who may come in: basic auth and the headers of the web configuration.
//!
//! Source: exporter-toolkit `web/handler.go`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::error::plain;
use super::web_config::{Guards, WebConfig};

/// Verdicts remembered. A dashboard asks many times a second, and bcrypt is slow on purpose.
const VERDICTS_MAX: usize = 1024;
/// Passwords hashed at once; more would take the processors away from everything else.
const HASHES_AT_ONCE_MAX: usize = 2;
/// What the password of an unknown user is compared with costs as much as the dearest known one; this, if there is none.
const COST_DEFAULT: u32 = 10;

/// Asks every request for its password, and remembers the answers.
#[derive(Clone)]
pub(super) struct Door(Arc<Inner>);

struct Inner {
    config: WebConfig,
    /// By a keyed digest of user, hash and password: the passwords themselves are not kept.
    verdicts: Mutex<HashMap<[u8; 32], bool>>,
    digest_key: [u8; 32],
    hashing: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(config: WebConfig) -> Door {
        Door(Arc::new(Inner {
            config,
            verdicts: Mutex::default(),
            digest_key: rand::random(),
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE_MAX)),
        }))
    }

    async fn lets_in(&self, guards: &Guards, headers: &HeaderMap) -> bool {
        if guards.users.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else { return false };
        let known = guards.users.get(&user);
        let hash = known.map_or_else(|| stand_in(guards), |hash| hash.expose().to_owned());
        let key = self.digest(&[user.as_bytes(), hash.as_bytes(), &password]);
        let remembered = self.0.verdicts.lock().get(&key).copied();
        let right = match remembered {
            Some(right) => right,
            None => {
                let right = self.hash(password, hash).await;
                self.remember(key, right);
                right
            }
        };
        right && known.is_some()
    }

    async fn hash(&self, password: Vec<u8>, hash: String) -> bool {
        let Ok(permit) = self.0.hashing.clone().acquire_owned().await else { return false };
        let verdict = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        verdict.await.unwrap_or(false)
    }

    fn remember(&self, key: [u8; 32], right: bool) {
        let mut verdicts = self.0.verdicts.lock();
        if verdicts.len() >= VERDICTS_MAX {
            // Wrong passwords go first: there are more of them than of right ones.
            verdicts.retain(|_, right| *right);
        }
        if verdicts.len() >= VERDICTS_MAX {
            verdicts.clear();
        }
        verdicts.insert(key, right);
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut digest = Sha256::new().chain_update(self.0.digest_key);
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// A hash that no password has.
fn stand_in(guards: &Guards) -> String {
    let cost = |hash: &str| hash.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost());
    let cost = guards.users.values().filter_map(|hash| cost(hash.expose())).max().unwrap_or(COST_DEFAULT);
    format!("$2b${cost:02}${}", ".".repeat(53))
}

/// User and password of `Authorization: Basic ...`.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = std::str::from_utf8(&decoded[..colon]).ok()?.to_owned();
    Some((user, decoded[colon + 1..].to_vec()))
}

pub(super) async fn ask(State(door): State<Door>, request: Request, next: Next) -> Response {
    let guards = door.0.config.guards();
    let mut response = if door.lets_in(&guards, request.headers()).await {
        next.run(request).await
    } else {
        let mut refusal = plain(StatusCode::UNAUTHORIZED, "Unauthorized\n").into_response();
        refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        refusal
    };
    for (name, value) in &guards.headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn an_unknown_user_costs_as_much_as_a_known_one() {
        let hash = |cost| Secret::new(bcrypt::hash("secret", cost).expect("a legal cost"));
        let users = [("ann".to_owned(), hash(4)), ("bob".to_owned(), hash(5))].into();
        let stand_in = stand_in(&Guards { headers: Vec::new(), users });
        assert_eq!(stand_in.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost()).ok(), Some(5));
        assert_eq!(bcrypt::verify("secret", &stand_in).ok(), Some(false));
    }

    #[test]
    fn credentials_are_read_as_go_reads_them() {
        let read = |text: &str| {
            let value = HeaderValue::from_str(text).expect("printable");
            credentials(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert_eq!(read("Basic YW5uOmE6Yg=="), Some(("ann".to_owned(), b"a:b".to_vec())));
        assert_eq!(read("basic YW5uOg=="), Some(("ann".to_owned(), Vec::new())));
        for text in ["Bearer YW5uOg==", "Basic", "Basic !", "Basic YW5u"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

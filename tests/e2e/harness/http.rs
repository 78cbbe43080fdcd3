//! Small requests of the tests themselves.

use std::time::Duration;

use serde_json::Value;

use super::secs;

/// Of a request to a process that should answer at once.
const TIMEOUT: Duration = secs(10);

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// A client of its own for every request: connections do not outlive a test's runtime.
fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only(std::iter::empty()).timeout(TIMEOUT);
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client without TLS can be built")
}

async fn send(request: reqwest::RequestBuilder) -> Result<Response, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| format!("{error:?}"))?;
    Ok(Response { status, text })
}

pub(crate) async fn get(url: &str) -> Result<Response, String> {
    send(client().get(url)).await
}

pub(crate) async fn post(url: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Result<Response, String> {
    send(client().post(url).header("Content-Type", content_type).body(body)).await
}

/// Where a GET is redirected to.
pub(crate) async fn location(url: &str) -> Result<String, String> {
    let response = client().get(url).send().await.map_err(|error| format!("{error:?}"))?;
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    location.map(str::to_owned).ok_or_else(|| format!("{} without Location", response.status()))
}

/// The JSON that a GET with these parameters is answered by.
pub(crate) async fn get_json(url: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
    let response = send(client().get(url).query(parameters)).await?;
    serde_json::from_str(&response.text)
        .map_err(|error| format!("{url}: {}: {error}: {}", response.status, response.text))
}

/// The `data` of a successful answer in Prometheus' envelope.
pub(crate) async fn api(base: &str, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
    let mut answer = get_json(&format!("{base}/api/v1/{path}"), parameters).await?;
    if answer["status"] != "success" { Err(format!("{path}: {answer}")) } else { Ok(answer["data"].take()) }
}

/// The value of the series `name` at `/metrics`, whose label set contains all of `parts` as text; the sum if several do.
pub(crate) async fn metric(base: &str, name: &str, parts: &[&str]) -> Result<f64, String> {
    let text = get(&format!("{base}/metrics")).await?.text;
    let values: Vec<f64> = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .collect();
    if values.is_empty() { Err(format!("no series {name} with {parts:?}")) } else { Ok(values.iter().sum()) }
}

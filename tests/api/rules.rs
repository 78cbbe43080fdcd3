//! Filters, pages and faults of `/api/v1/rules`, in Prometheus' words.

use bellwether::api::ApiOptions;
use bellwether::api::views::RuleState;

use crate::fake::{FakeViews, alerting, get, group, recording, routes};

fn views() -> FakeViews {
    let alerting = |name, labels| alerting(name, labels, RuleState::Inactive, Vec::new());
    FakeViews::showing(vec![
        group(
            "a",
            "one.yml",
            vec![alerting("A", &[("team", "x"), ("severity", "page")]), recording("r", &[("q", "r")])],
        ),
        group("b", "one.yml", vec![]),
        group("c", "one.yml", vec![alerting("C", &[("team", "y")])]),
        group("a", "two.yml", vec![recording("r", &[]), recording("s", &[("team", "{{ $x }}")])]),
    ])
}

/// `file/group:rule,rule ...` and the token, if there is one.
async fn shown(query: &str) -> Result<(String, Option<String>), String> {
    let answer = get(&routes(views(), &ApiOptions::default()), &format!("/api/v1/rules?{query}")).await;
    let read: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    if answer.status != 200 {
        assert_eq!((read["status"].as_str(), read["errorType"].as_str()), (Some("error"), Some("bad_data")));
        assert_eq!(answer.status, 400);
        return Err(read["error"].as_str().expect("a text").to_owned());
    }
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let groups = read["data"]["groups"].as_array().expect("groups").iter().map(|group| {
        let rules = group["rules"].as_array().expect("rules").iter().map(|rule| text(&rule["name"]));
        format!("{}/{}:{}", text(&group["file"]), text(&group["name"]), rules.collect::<Vec<_>>().join(","))
    });
    let token = read["data"].get("groupNextToken").map(text);
    Ok((groups.collect::<Vec<_>>().join(" "), token))
}

#[tokio::test]
async fn filters() {
    for (query, expected) in [
        ("", "one.yml/a:A,r one.yml/c:C two.yml/a:r,s"),
        ("type=", "one.yml/a:A,r one.yml/c:C two.yml/a:r,s"),
        ("type=ALERT", "one.yml/a:A one.yml/c:C"),
        ("type=record", "one.yml/a:r two.yml/a:r,s"),
        ("rule_name[]=r", "one.yml/a:r two.yml/a:r"),
        ("rule_name%5B%5D=r&rule_name[]=C", "one.yml/a:r one.yml/c:C two.yml/a:r"),
        ("rule_name[]=", ""),
        ("rule_group[]=a", "one.yml/a:A,r two.yml/a:r,s"),
        ("rule_group[]=a&file[]=two.yml", "two.yml/a:r,s"),
        ("rule_group[]=a&file[]=two.yml&type=alert", ""),
        ("rule_group[]=b", ""),
        ("match[]={team=\"x\"}", "one.yml/a:A"),
        ("match[]={team=~\".%2B\"}", "one.yml/a:A one.yml/c:C two.yml/a:s"),
        ("match[]={team=\"x\",severity=\"warn\"}", ""),
        ("match[]={team=\"y\"}&match[]={q=\"r\"}", "one.yml/a:r one.yml/c:C"),
        ("match[]={team=\"{{ $x }}\"}", "two.yml/a:s"),
        ("match[]=up", ""),
        ("group_limit=", "one.yml/a:A,r one.yml/c:C two.yml/a:r,s"),
        ("unknown=1", "one.yml/a:A,r one.yml/c:C two.yml/a:r,s"),
    ] {
        let query = query.replace('{', "%7B").replace('}', "%7D").replace('"', "%22").replace(' ', "+");
        assert_eq!(shown(&query).await, Ok((expected.to_owned(), None)), "{query}");
    }
}

#[tokio::test]
async fn pages() {
    // SHA-256 of `one.yml;c` and `two.yml;a`.
    let c = "8c4f3a28fe84dfdcf3fe44613a248b91696283f1ee952bf857396d79cef29da3";
    let a = "b7021dd11bebf6a45046ee28210a63f63aa72d1850902651a24b683cff9833e8";
    for (query, expected, token) in [
        ("group_limit=3".to_owned(), "one.yml/a:A,r one.yml/c:C two.yml/a:r,s", None),
        ("group_limit=1".to_owned(), "one.yml/a:A,r", Some(c)),
        ("group_limit=2".to_owned(), "one.yml/a:A,r one.yml/c:C", Some(a)),
        (format!("group_limit=1&group_next_token={c}"), "one.yml/c:C", Some(a)),
        (format!("group_limit=1&group_next_token={a}"), "two.yml/a:r,s", None),
        // Groups that a filter empties do not count.
        ("group_limit=1&type=record".to_owned(), "one.yml/a:r", Some(a)),
        ("group_limit=2&rule_name[]=C".to_owned(), "one.yml/c:C", None),
    ] {
        assert_eq!(shown(&query).await, Ok((expected.to_owned(), token.map(str::to_owned))), "{query}");
    }
}

#[tokio::test]
async fn faults() {
    for (query, expected) in [
        ("type=X", "invalid parameter \"type\": not supported value \"x\""),
        ("type=+", "invalid parameter \"type\": not supported value \" \""),
        (
            "exclude_alerts=zz",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: \
             strconv.ParseBool: parsing \"zz\": invalid syntax",
        ),
        ("group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        ("group_limit=-1", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (
            "group_limit=1.5",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: \
             strconv.ParseInt: parsing \"1.5\": invalid syntax",
        ),
        (
            "group_limit=99999999999",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: \
             strconv.ParseInt: parsing \"99999999999\": value out of range",
        ),
        (
            "group_next_token=x",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        (
            "group_limit=1&group_next_token=x",
            "invalid parameter \"group_next_token\": invalid group_next_token 'x'. were rule groups changed?",
        ),
        ("match[]=%7Ba=%22%22%7D", "match[] must contain at least one non-empty matcher"),
        ("match[]=", "unknown position: parse error: unexpected end of input"),
        ("match[]=up&match[]=%7B", "1:1: parse error: unexpected end of input inside braces"),
        ("match[]=sum(up)", "1:1: parse error: `match[]` takes a vector selector"),
        ("match[]=up+offset+5m", "1:1: parse error: `match[]` takes no modifiers"),
        ("a=%zz", "error parsing form values: invalid URL escape \"%zz\""),
        ("a;b", "error parsing form values: invalid semicolon separator in query"),
    ] {
        assert_eq!(shown(query).await, Err(expected.to_owned()), "{query}");
    }
}

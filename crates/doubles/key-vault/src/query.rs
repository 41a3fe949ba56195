//! The query of a request to the vault: the API version, and the page of a list.

use super::refusal::Refusal;

/// The supported API versions: those between which secrets have changed only by additional fields in answers.
const API_VERSIONS: [&str; 12] = [
    "2016-10-01",
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6-preview.2",
    "7.6",
    "2025-06-01-preview",
    "2025-07-01",
    "2026-04-01",
];
/// The maximum and default number of items of a page.
const PAGE: usize = 25;

/// The query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// A supported API version.
    pub(super) api_version: String,
    /// 1 to 25.
    pub(super) page_size: usize,
    /// Where the page starts.
    pub(super) skip_token: Option<String>,
}

impl Query {
    /// Reads a query string.
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let find = |name: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.into_owned())
        };
        let api_version =
            find("api-version").ok_or_else(|| Refusal::bad_parameter("api-version must be specified"))?;
        if !API_VERSIONS.contains(&api_version.as_str()) {
            return Err(Refusal::bad_parameter(format!(
                "The specified version ({api_version}) is not recognized. Consider using the latest supported \
                 version ({}).",
                API_VERSIONS[API_VERSIONS.len() - 1]
            )));
        }
        let page_size = match find("maxresults") {
            None => PAGE,
            Some(number) => {
                number.parse().ok().filter(|size| (1..=PAGE).contains(size)).ok_or_else(|| {
                    Refusal::bad_parameter(format!("maxresults must be a number from 1 to {PAGE}."))
                })?
            }
        };
        Ok(Self { api_version, page_size, skip_token: find("$skiptoken") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_page_sizes_are_checked_as_by_key_vault() {
        let message = |query| Query::parse(query).unwrap_err().message;
        assert_eq!(message(""), "api-version must be specified");
        assert!(message("api-version=7.99").starts_with("The specified version (7.99) is not recognized."));
        assert!(message("api-version=7.4&maxresults=26").starts_with("maxresults"));
        assert!(message("api-version=7.4&maxresults=0").starts_with("maxresults"));
        assert!(message("api-version=7.4&maxresults=x").starts_with("maxresults"));

        let query = Query::parse("api-version=2025-07-01&$skiptoken=abc&maxresults=3").unwrap();
        assert_eq!((query.page_size, query.skip_token.as_deref()), (3, Some("abc")));
        assert_eq!(
            Query::parse("api-version=7.6&%24skiptoken=abc").unwrap().skip_token.as_deref(),
            Some("abc")
        );
    }
}

//! Secrets as the Table output that `kubectl get` prints: name, type, number of keys and age, but no values.

use http::header::ACCEPT;
use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta},
};
use kube::Resource;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{Edge, EdgeError, PAGE};
use crate::quote::Quote;

/// A Secret as it is printed.
pub(super) struct Printed {
    pub(super) metadata: ObjectMeta,
    pub(super) secret_type: String,
    /// How many keys it has.
    pub(super) keys: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    #[serde(default)]
    metadata: ListMeta,
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Value>,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    metadata: ObjectMeta,
}

impl Edge {
    /// The Secret of a name; `None` if there is none.
    pub(super) async fn printed(&self, name: &str) -> Result<Option<Printed>, EdgeError> {
        match self.table(&format!("/{name}"), &[]).await {
            Ok(table) => Ok(table.printed()?.into_iter().next()),
            Err(EdgeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All Secrets that match a label selector.
    pub(super) async fn printed_all(&self, selector: &str) -> Result<Vec<Printed>, EdgeError> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let limit = PAGE.to_string();
            let parameters = [("labelSelector", selector), ("limit", &limit), ("continue", &token)];
            let mut table = self.table("", &parameters[..if token.is_empty() { 2 } else { 3 }]).await?;
            let next = table.metadata.continue_.take();
            all.extend(table.printed()?);
            match next.filter(|next| !next.is_empty()) {
                Some(next) => token = next,
                None => return Ok(all),
            }
        }
    }

    async fn table(&self, under: &str, parameters: &[(&str, &str)]) -> Result<Table, EdgeError> {
        let path = format!("{}{under}?{}", Secret::url_path(&(), Some(&self.namespace)), query(parameters));
        let request = http::Request::get(path)
            .header(ACCEPT, "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())
            .map_err(|error| EdgeError::Rejected(Quote::error(&error)))?;
        self.call(self.client.request(request)).await
    }
}

fn query(parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("includeObject", "Metadata").extend_pairs(parameters).finish()
}

impl Table {
    fn printed(self) -> Result<Vec<Printed>, EdgeError> {
        let place = |name: &str| self.column_definitions.iter().position(|column| column.name == name);
        let (secret_type, keys) = (place("Type"), place("Data"));
        let untold = || EdgeError::Rejected("it does not print the type and the number of keys".into());
        let printed = |row: Row| {
            let cell = |place: Option<usize>| row.cells.get(place?);
            let secret_type = cell(secret_type).and_then(Value::as_str).map(str::to_owned);
            let keys = cell(keys).and_then(Value::as_u64).and_then(|keys| usize::try_from(keys).ok());
            Ok(Printed {
                metadata: row.object.metadata,
                secret_type: secret_type.ok_or_else(untold)?,
                keys: keys.ok_or_else(untold)?,
            })
        };
        self.rows.into_iter().map(printed).collect()
    }
}

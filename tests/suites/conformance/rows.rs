//! The rows of the corpus: objects, requests and the answers that the specification says.

use serde_json::Value;

const CORPUS: &str = "tests/suites/corpus/routing";

/// One row. Its texts name its own host HOST, and its objects NAME.
pub(crate) struct Row {
    pub(crate) title: String,
    /// Page and field that it is from.
    pub(crate) source: String,
    /// The name of its objects.
    pub(crate) name: String,
    /// `http` of a VirtualService, `rules` of an HTTPRoute, `grpc` of a GRPCRoute.
    pub(crate) kind: &'static str,
    pub(crate) rules: Value,
    pub(crate) objects: Vec<Value>,
    /// The same as routes of Envoy; null where Envoy has nothing like it.
    pub(crate) envoy: Value,
    /// Conditions of the route, as `STATUS REASON`.
    pub(crate) told: Value,
    /// Why Envoy's answers differ.
    pub(crate) why: Option<String>,
    pub(crate) asks: Vec<Value>,
}

impl Row {
    fn read(row: &Value, name: String) -> Self {
        let kinds = ["http", "rules", "grpc"];
        let kind = *kinds.iter().find(|kind| !row[**kind].is_null()).unwrap();
        let list = |key: &str| row[key].as_array().cloned().unwrap_or_default();
        let text = |key: &str| row[key].as_str().map(ToOwned::to_owned);
        Self {
            title: text("row").unwrap(),
            source: text("source").unwrap(),
            name,
            kind,
            rules: row[kind].clone(),
            objects: list("objects"),
            envoy: row["envoy"].clone(),
            told: row["told"].clone(),
            why: text("why"),
            asks: list("asks"),
        }
    }

    /// The host that is its own.
    pub(crate) fn host(&self) -> String {
        format!("{}.test", self.name)
    }

    pub(crate) fn is_istio(&self) -> bool {
        self.kind == "http"
    }

    /// A text of the row with its names filled in.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace("HOST", &self.host())
            .replace("NAME", &self.name)
    }
}

/// All rows, those of Istio first.
pub(crate) fn all() -> Vec<Row> {
    let mut all = Vec::new();
    for (prefix, file) in [("istio", "istio.yaml"), ("gateway", "gateway_api.yaml")] {
        let path = osier_tests::artifacts::workspace().join(CORPUS).join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let rows: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
        let rows = rows.iter().enumerate();
        all.extend(rows.map(|(number, row)| Row::read(row, format!("{prefix}-{number}"))));
    }
    all
}

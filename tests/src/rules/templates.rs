//! The library of rules, installed from its list.

use crate::harness::TestApp;
use serde_json::json;

#[tokio::test]
async fn every_template_can_be_installed_as_it_is_listed() {
    let app = TestApp::start().await;
    let ann = app.register("ann").await;
    ann.remove_starter_rules().await;
    app.settle().await;
    let templates = ann.list("/api/v1/rule-templates?limit=250").await;
    assert!(!templates.is_empty());
    for template in &templates {
        let body = json!({ "script": template["script"] });
        let made = ann.post("/api/v1/rules", body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let listed = template.as_object().unwrap();
        for (field, value) in listed
            .iter()
            .filter(|(name, _)| !["key", "starter"].contains(&name.as_str()))
        {
            assert_eq!(made.body[field], *value, "{field} of {}", template["key"]);
        }
        let named = format!("{} of mine", template["name"].as_str().unwrap());
        let body = json!({ "name": named, "enabled": false, "script": template["script"] });
        let made = ann.post("/api/v1/rules", body).await;
        assert_eq!(
            (made.status.as_u16(), &made.body["enabled"]),
            (201, &json!(false)),
            "{}",
            made.body
        );
    }
}

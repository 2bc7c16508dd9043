//! Bookinfo's reviews service: what readers wrote, in three versions chosen by the environment variable `SERVICE_VERSION`.
//!
//! v1 shows no stars and calls nobody; v2 asks `ratings` and shows black stars; v3 shows red ones. When ratings fails, the reviews are
//! still served and say that the stars are missing. One component serves all three versions, so that one image is enough.

use serde_json::{Value, json};

/// What this instance is: read from the environment once per request.
pub struct Identity {
    /// `v1`, `v2` or `v3`.
    pub version: String,
    /// The pod's name, given by the downward API.
    pub pod: String,
}

/// What became of the call to the ratings service.
pub enum Ratings {
    /// v1 does not ask.
    NotAsked,
    /// Ratings answered with its body.
    Given(Value),
    /// Ratings did not answer, or not with success; the text says how.
    Unavailable(String),
}

const REVIEWS: [(&str, &str); 3] = [
    (
        "Mole",
        "I read it on the river bank and forgot my spring-cleaning altogether. There is nothing half so well worth reading.",
    ),
    (
        "Rat",
        "Sound on boats and very fair on picnics. I would have cut the motor-cars; others will tell you they are the best part.",
    ),
    (
        "Badger",
        "Read it twice, by the fire, with the door shut. The chapters underground are the sensible ones.",
    ),
];

impl Identity {
    /// The colour of this version's stars; none means that ratings are not shown.
    pub fn star_color(&self) -> Option<&'static str> {
        match self.version.as_str() {
            "v2" => Some("black"),
            "v3" => Some("red"),
            _ => None,
        }
    }
}

/// The body of `GET /reviews/0`.
pub fn reviews(identity: &Identity, ratings: &Ratings) -> Value {
    let written: Vec<Value> = REVIEWS
        .iter()
        .map(|(reviewer, text)| {
            let mut review = json!({"reviewer": reviewer, "text": text});
            if let Some(rating) = rating(identity, ratings, reviewer) {
                review["rating"] = rating;
            }
            review
        })
        .collect();
    json!({"id": "0", "podname": identity.pod, "version": identity.version, "reviews": written})
}

fn rating(identity: &Identity, ratings: &Ratings, reviewer: &str) -> Option<Value> {
    match ratings {
        Ratings::NotAsked => None,
        Ratings::Unavailable(reason) => Some(json!({"error": reason})),
        Ratings::Given(body) => Some(match body["ratings"][reviewer].as_u64() {
            Some(stars) => json!({"stars": stars, "color": identity.star_color()}),
            None => json!({"error": format!("no rating by {reviewer}")}),
        }),
    }
}

#[cfg(target_family = "wasm")]
mod component;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(version: &str) -> Identity {
        Identity {
            version: version.into(),
            pod: "reviews-x".into(),
        }
    }

    #[test]
    fn first_version_has_no_stars() {
        let body = reviews(&identity("v1"), &Ratings::NotAsked);
        assert!(body["reviews"][0].get("rating").is_none());
        assert_eq!(body["version"], "v1");
    }

    #[test]
    fn stars_have_the_colour_of_the_version() {
        let given = Ratings::Given(json!({"ratings": {"Mole": 5}}));
        let black = reviews(&identity("v2"), &given);
        assert_eq!(
            black["reviews"][0]["rating"],
            json!({"stars": 5, "color": "black"})
        );
        let red = reviews(&identity("v3"), &given);
        assert_eq!(red["reviews"][0]["rating"]["color"], "red");
        assert_eq!(
            red["reviews"][1]["rating"],
            json!({"error": "no rating by Rat"})
        );
    }

    #[test]
    fn reviews_outlive_ratings() {
        let body = reviews(
            &identity("v2"),
            &Ratings::Unavailable("ratings answered 503".into()),
        );
        assert_eq!(body["reviews"].as_array().map(Vec::len), Some(3));
        assert_eq!(
            body["reviews"][2]["rating"]["error"],
            "ratings answered 503"
        );
    }
}

//! Ratings drawn as inline SVG: five stars, the first N filled, one sentence for those who listen to the page.

/// Draws `stars` of five; `color` is what the reviews service names: `black` or `red`.
pub fn draw(stars: u64, color: &str) -> String {
    let stars = stars.min(5);
    let class = if color == "red" { "stars red" } else { "stars" };
    let mut svg = format!(
        "<svg class=\"{class}\" role=\"img\" aria-label=\"{stars} of 5 stars\" viewBox=\"0 0 120 24\" width=\"120\" height=\"24\">"
    );
    for index in 0..5 {
        let kind = if index < stars { "full" } else { "none" };
        let x = index * 24;
        svg.push_str(&format!(
            "<path class=\"{kind}\" transform=\"translate({x} 0)\" d=\"{STAR}\"/>"
        ));
    }
    svg.push_str("</svg>");
    svg
}

/// A five-pointed star with slightly rounded joins in a 24 by 24 box.
const STAR: &str = "M12 2.6l2.9 6 6.6.9-4.8 4.6 1.2 6.5L12 17.5l-5.9 3.1 1.2-6.5L2.5 9.5l6.6-.9z";

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn fills_as_many_as_given_and_at_most_five() {
        let four = draw(4, "black");
        assert_eq!(
            (
                four.matches("\"full\"").count(),
                four.matches("\"none\"").count()
            ),
            (4, 1)
        );
        assert!(four.contains("4 of 5 stars"));
        assert_eq!(draw(9, "red").matches("\"full\"").count(), 5);
        assert!(draw(1, "red").contains("stars red"));
    }
}

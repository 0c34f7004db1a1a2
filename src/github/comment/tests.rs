use super::*;

fn text(length: usize) -> String {
    let marker = marker("k");
    format!("{marker}\n{}", "é".repeat(length - marker.len() - 1))
}

#[test]
fn a_body_is_at_most_what_github_takes() {
    assert!(Body::new("k", text(MAX_CHARACTERS)).is_ok());
    assert_eq!(Body::new("k", text(MAX_CHARACTERS + 1)), Err(Error::TooLong { characters: MAX_CHARACTERS + 1 }));
}

#[test]
fn a_body_can_be_found_again() {
    assert!(Body::new("k", marker("k")).is_ok());
    for odd in ["", "text", "<!-- example-validator: k", &format!("\n{}", marker("k")), &format!("> {}", marker("k"))] {
        assert_eq!(Body::new("k", odd.to_owned()), Err(Error::Unmarked), "{odd}");
    }
    assert_eq!(Body::new("other", marker("k")), Err(Error::Unmarked));
}

#[test]
fn line_ends_are_no_difference() {
    let body = Body::new("k", format!("{}\na\n\nb\n", marker("k"))).unwrap();
    assert!(body.is(&format!("{}\r\na\r\n\r\nb", marker("k"))));
    assert!(!body.is(&format!("{}\na\nb", marker("k"))));
}

#[test]
fn answers_about_comments_are_told_apart() {
    let denied = |message: &str| api::Error::Denied { message: message.to_owned() };
    let of = |error| Error::of(error, "o/r", 1);
    let locked = "Unable to create comment because issue is locked.".to_owned();
    assert_eq!(of(denied(&locked)), Error::Locked { message: locked });
    let integration = "Resource not accessible by integration".to_owned();
    assert_eq!(of(denied(&integration)), Error::Denied { message: integration });
    let message = "Validation Failed".to_owned();
    assert_eq!(of(api::Error::Answered { status: 422, message: message.clone() }), Error::Refused { message });
    let message = "Issues are disabled for this repo".to_owned();
    assert_eq!(of(api::Error::Gone { message: message.clone() }), Error::Gone { message });
    let absent = Error::Absent { repository: "o/r".to_owned(), number: 1 };
    assert_eq!(of(api::Error::NotFound { route: String::new() }), absent);
}

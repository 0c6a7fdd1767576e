//! What a build says about what it finds, and what it would do.

use builder::Event;

use crate::fixture::Fixture;

const DOCKERFILE: &str = "FROM BASE AS one
WORKDIR /src
COPY src .
FROM BASE
ARG WHO=app
COPY --from=one /src/a.txt /a
COPY --chown=$WHO src/b.txt /b
";

fn explanations(fixture: &Fixture, dockerfile: &str) -> String {
    let mut options = fixture.options(dockerfile);
    options.explain = true;
    let built = fixture.build_with(options);
    let line = |event: &Event| match event {
        Event::Explained { stage, step, found, reason, differences } => {
            let found = if *found { "hit" } else { "miss" };
            Some(format!("{found} {stage}: {step}: {reason}: {}\n", differences.join(", ")))
        }
        _ => None,
    };
    built.events.iter().filter_map(line).collect()
}

#[test]
fn why_a_step_is_made() {
    let fixture = Fixture::new();
    assert_eq!(
        explanations(&fixture, DOCKERFILE),
        "miss one: WORKDIR /src: no earlier build is known: \n\
         miss one: COPY src .: no earlier build is known: \n\
         miss 1: COPY --from=one /src/a.txt /a: no earlier build is known: \n\
         miss 1: COPY --chown=$WHO src/b.txt /b: no earlier build is known: \n"
    );
    fixture.write("src/a.txt", "edited\n");
    fixture.write("src/new.txt", "new\n");
    assert_eq!(
        explanations(&fixture, DOCKERFILE),
        "hit one: WORKDIR /src: it is in the cache: \n\
         miss one: COPY src .: it has changed: file a.txt has changed, file new.txt is new\n\
         miss 1: COPY --from=one /src/a.txt /a: it has changed: from has changed\n\
         miss 1: COPY --chown=$WHO src/b.txt /b: what is before it has changed: \n"
    );
    assert_eq!(
        explanations(&fixture, &DOCKERFILE.replace("WHO=app", "WHO=www")),
        "hit one: WORKDIR /src: it is in the cache: \n\
         hit one: COPY src .: it is in the cache: \n\
         hit 1: COPY --from=one /src/a.txt /a: it is in the cache: \n\
         miss 1: COPY --chown=$WHO src/b.txt /b: it has changed: --chown has changed\n"
    );
    fixture.push_base("/more file = more\n");
    let moved = explanations(&fixture, DOCKERFILE);
    assert!(moved.starts_with("miss one: WORKDIR /src: its stage starts from another image: \n"), "{moved}");
}

#[test]
fn what_would_be_done() {
    let fixture = Fixture::new();
    let plan = |dockerfile: &str| -> String {
        let stages = fixture.plan(&fixture.options(dockerfile));
        let text: String = stages.iter().map(ToString::to_string).collect();
        text.replace(&fixture.registry.address(), "REGISTRY")
    };
    assert_eq!(
        plan(DOCKERFILE),
        "stage one from REGISTRY/base:latest
  build   b114bad907df  WORKDIR /src
  build   408e423e5248  COPY src .
stage 1 from REGISTRY/base:latest, after one
  config  -             ARG WHO=app
  build   df0765a42723  COPY --from=one /src/a.txt /a
  build   50369ad718b6  COPY --chown=$WHO src/b.txt /b
"
    );
    fixture.build(DOCKERFILE);
    assert_eq!(
        plan(&format!("{DOCKERFILE}WORKDIR /new\n")),
        "stage one from REGISTRY/base:latest, pruned
  pruned  b114bad907df  WORKDIR /src
  pruned  408e423e5248  COPY src .
stage 1 from REGISTRY/base:latest
  config  -             ARG WHO=app
  cached  df0765a42723  COPY --from=one /src/a.txt /a
  cached  50369ad718b6  COPY --chown=$WHO src/b.txt /b
  build   NEWKEY  WORKDIR /new
"
        .replace("NEWKEY", &last_key(&fixture))
    );
}

/// The key that the plan has for the last step.
fn last_key(fixture: &Fixture) -> String {
    let stages = fixture.plan(&fixture.options(&format!("{DOCKERFILE}WORKDIR /new\n")));
    let step = stages.last().and_then(|stage| stage.steps.last()).unwrap();
    step.key.as_ref().unwrap()[..12].to_owned()
}

/// Steps that several stages have are carried out once, and the plan says so; which stages wait for which, too.
#[test]
fn what_is_joined() {
    let fixture = Fixture::new();
    let dockerfile = "FROM BASE AS one
WORKDIR /src
COPY src .
FROM BASE AS two
WORKDIR /src
ENV A=1
COPY src .
COPY other.txt /
FROM BASE
COPY --from=one / /one
COPY --from=two / /two
";
    let planned = fixture.plan(&fixture.options(dockerfile));
    let text: String = planned.iter().map(ToString::to_string).collect();
    assert_eq!(
        text.replace(&fixture.registry.address(), "REGISTRY"),
        "stage one from REGISTRY/base:latest
  build   b114bad907df  WORKDIR /src
  build   408e423e5248  COPY src .
stage two from REGISTRY/base:latest
  joined  b114bad907df  WORKDIR /src
  config  -             ENV A=1
  joined  408e423e5248  COPY src .
  build   d2860c773778  COPY other.txt /
stage 2 from REGISTRY/base:latest, after one, two
  build   0550878fb10e  COPY --from=one / /one
  build   a24c9a43c80a  COPY --from=two / /two
"
    );
    let json = serde_json::to_value(&planned[2]).unwrap();
    assert_eq!(json["after"], serde_json::json!(["one", "two"]));
    assert_eq!(serde_json::to_value(&planned[1]).unwrap()["steps"][0]["what"], "joined");
    let mut cold = fixture.options(dockerfile);
    cold.cache = None;
    let cold = fixture.build_with(cold);
    let joined = fixture.build(dockerfile);
    assert_eq!(joined.digest, cold.digest);
}

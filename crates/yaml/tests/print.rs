//! What is printed, compared with what Go's YAML library (`gopkg.in/yaml.v2` 2.4) printed of the same.

#[test]
fn prints_as_go_does() {
    let json = include_str!("print/scalars.json");
    let node = yaml::parse(json).unwrap().unwrap();
    let printed = yaml::print(&node).unwrap();
    for (line, (found, expected)) in
        printed.lines().zip(include_str!("print/scalars.yaml").lines()).enumerate()
    {
        assert_eq!(found, expected, "line {}", line + 1);
    }
    assert_eq!(printed.len(), include_str!("print/scalars.yaml").len());
}

#[test]
fn what_is_printed_is_read_back() {
    let node = yaml::parse(include_str!("print/scalars.json")).unwrap().unwrap();
    let again = yaml::parse(&yaml::print(&node).unwrap()).unwrap().unwrap();
    assert_eq!(yaml::print_json(&again).unwrap(), yaml::print_json(&node).unwrap());
}

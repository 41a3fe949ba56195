//! The page of the API, from the contract and the comments in it.

use std::{collections::HashMap, fmt::Write};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};
use secret_service::proto::FILE_DESCRIPTOR_SET;

const PACKAGE: &str = "iotoperations.secrets.v1";
/// Tags in a `FileDescriptorProto`, of which the paths to comments consist.
const MESSAGES: i32 = 4;
const ENUMS: i32 = 5;
const SERVICES: i32 = 6;
/// Tags in a `DescriptorProto` and in an `EnumDescriptorProto` or `ServiceDescriptorProto`.
const FIELDS: i32 = 2;
const NESTED: i32 = 3;
const NESTED_ENUMS: i32 = 4;

/// Comments by the path of what they are about.
struct Comments(HashMap<Vec<i32>, String>);

/// The whole page.
pub fn page() -> String {
    let file = contract();
    let comments = Comments::of(&file);
    let mut page = String::from(
        "# The API\n\ngRPC, package `iotoperations.secrets.v1`; the contract is \
         `proto/iotoperations/secrets/v1/secret_service.proto`. The reasons of errors are in [errors.md](errors.md), those of \
         conditions in [conditions.md](conditions.md), the actions of the audit in [audit.md](audit.md).\n",
    );
    for (place, service) in file.service.iter().enumerate() {
        let path = [SERVICES, index(place)];
        let _ = write!(page, "\n## {}\n\n{}\n", service.name(), comments.at(&path));
        for (place, method) in service.method.iter().enumerate() {
            let stream = if method.server_streaming() { "stream of " } else { "" };
            let (input, output) = (kind(method.input_type()), kind(method.output_type()));
            let _ = write!(page, "\n### {}\n\n{input} → {stream}{output}\n", method.name());
            let text = comments.at(&[&path[..], &[FIELDS, index(place)]].concat());
            if !text.is_empty() {
                let _ = write!(page, "\n{text}\n");
            }
        }
    }
    page.push_str("\n## Messages\n");
    for (place, message) in file.message_type.iter().enumerate() {
        add_message(&mut page, &comments, message, "", vec![MESSAGES, index(place)]);
    }
    page.push_str("\n## Enums\n");
    for (place, one) in file.enum_type.iter().enumerate() {
        add_enum(&mut page, &comments, one, "", vec![ENUMS, index(place)]);
    }
    for (place, message) in file.message_type.iter().enumerate() {
        for (inner, one) in message.enum_type.iter().enumerate() {
            let path = vec![MESSAGES, index(place), NESTED_ENUMS, index(inner)];
            add_enum(&mut page, &comments, one, message.name(), path);
        }
    }
    page
}

fn contract() -> FileDescriptorProto {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    set.file.into_iter().find(|file| file.package() == PACKAGE).unwrap()
}

fn add_message(
    page: &mut String,
    comments: &Comments,
    message: &DescriptorProto,
    outer: &str,
    path: Vec<i32>,
) {
    let name = full(outer, message.name());
    let _ = write!(page, "\n### {name}\n");
    let text = comments.at(&path);
    if !text.is_empty() {
        let _ = write!(page, "\n{text}\n");
    }
    if !message.field.is_empty() {
        page.push_str("\n| field | type | |\n|---|---|---|\n");
    }
    for (place, field) in message.field.iter().enumerate() {
        let text = comments.at(&[&path[..], &[FIELDS, index(place)]].concat());
        let _ = writeln!(page, "| `{}` | {} | {} |", field.name(), type_of(field, message), cell(&text));
    }
    for (place, nested) in message.nested_type.iter().enumerate() {
        if !nested.options.as_ref().is_some_and(|options| options.map_entry()) {
            add_message(page, comments, nested, &name, [&path[..], &[NESTED, index(place)]].concat());
        }
    }
}

fn add_enum(page: &mut String, comments: &Comments, one: &EnumDescriptorProto, outer: &str, path: Vec<i32>) {
    let _ = write!(page, "\n### {}\n", full(outer, one.name()));
    let text = comments.at(&path);
    if !text.is_empty() {
        let _ = write!(page, "\n{text}\n");
    }
    page.push_str("\n| value | number | |\n|---|---|---|\n");
    for (place, value) in one.value.iter().enumerate() {
        let text = comments.at(&[&path[..], &[FIELDS, index(place)]].concat());
        let _ = writeln!(page, "| `{}` | {} | {} |", value.name(), value.number(), cell(&text));
    }
}

/// The type of a field as a person would say it.
fn type_of(field: &FieldDescriptorProto, message: &DescriptorProto) -> String {
    let is_repeated = field.label() == Label::Repeated;
    let entry =
        message.nested_type.iter().find(|nested| field.type_name().ends_with(&format!(".{}", nested.name())));
    if let Some(entry) =
        entry.filter(|entry| entry.options.as_ref().is_some_and(|options| options.map_entry()))
    {
        return format!("map of {} to {}", type_of(&entry.field[0], entry), type_of(&entry.field[1], entry));
    }
    let name = match field.r#type() {
        Type::Message | Type::Enum => kind(field.type_name()),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    if is_repeated { format!("list of {name}") } else { name }
}

/// A type, as a link where this page has it.
fn kind(name: &str) -> String {
    match name.trim_start_matches('.').strip_prefix(&format!("{PACKAGE}.")) {
        Some(ours) => format!("[{ours}](#{})", ours.replace('.', "").to_lowercase()),
        None => format!("`{}`", name.trim_start_matches('.')),
    }
}

fn full(outer: &str, name: &str) -> String {
    if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn index(place: usize) -> i32 {
    i32::try_from(place).unwrap()
}

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        let text = |location: &prost_types::source_code_info::Location| {
            let both = [location.leading_comments(), location.trailing_comments()];
            // A line of dashes is a heading of the file, not of what comes after it.
            let lines =
                both.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().starts_with("----"));
            lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
        };
        Self(locations.map(|location| (location.path.clone(), text(location))).collect())
    }

    fn at(&self, path: &[i32]) -> String {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

//! The files that every schema may import without a reference.

macro_rules! known {
    ($($path:literal => $file:literal),* $(,)?) => {
        /// The text of the well-known file of that path.
        pub(super) fn file(path: &str) -> Option<&'static str> {
            match path {
                $($path => Some(include_str!(concat!("known/", $file))),)*
                _ => None,
            }
        }

        #[cfg(test)]
        pub(super) const PATHS: &[&str] = &[$($path),*];
    };
}

known! {
    "confluent/meta.proto" => "meta.proto",
    "confluent/type/decimal.proto" => "confluent_decimal.proto",
    "confluent/type/variant.proto" => "variant.proto",
    "google/protobuf/any.proto" => "any.proto",
    "google/protobuf/api.proto" => "api.proto",
    "google/protobuf/descriptor.proto" => "descriptor.proto",
    "google/protobuf/duration.proto" => "duration.proto",
    "google/protobuf/empty.proto" => "empty.proto",
    "google/protobuf/field_mask.proto" => "field_mask.proto",
    "google/protobuf/source_context.proto" => "source_context.proto",
    "google/protobuf/struct.proto" => "struct.proto",
    "google/protobuf/timestamp.proto" => "timestamp.proto",
    "google/protobuf/type.proto" => "type.proto",
    "google/protobuf/wrappers.proto" => "wrappers.proto",
    "google/type/calendar_period.proto" => "calendar_period.proto",
    "google/type/color.proto" => "color.proto",
    "google/type/date.proto" => "date.proto",
    "google/type/datetime.proto" => "datetime.proto",
    "google/type/dayofweek.proto" => "dayofweek.proto",
    "google/type/decimal.proto" => "decimal.proto",
    "google/type/expr.proto" => "expr.proto",
    "google/type/fraction.proto" => "fraction.proto",
    "google/type/interval.proto" => "interval.proto",
    "google/type/latlng.proto" => "latlng.proto",
    "google/type/money.proto" => "money.proto",
    "google/type/month.proto" => "month.proto",
    "google/type/phone_number.proto" => "phone_number.proto",
    "google/type/postal_address.proto" => "postal_address.proto",
    "google/type/quaternion.proto" => "quaternion.proto",
    "google/type/timeofday.proto" => "timeofday.proto",
}

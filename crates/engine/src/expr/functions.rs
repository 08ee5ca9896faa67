//! Calls: arguments are coerced to what the function needs, and its kernel is looked up.

use super::compile::{cast_to, coerce, common, text};
use super::node::{Form, Kernel, Node};
use super::time::functions::{self as time, Use};
use super::{arithmetic, compare, math, nested, strings};
use crate::error::EngineError;
use bd_schema::DataType;
use bd_sql::expr::{BinaryOp, Function};

/// A call of `function`.
///
/// # Errors
/// Too few or too many arguments, arguments of wrong types.
pub(super) fn call(function: Function, args: Vec<Node>, wanted: &DataType) -> Result<Node, EngineError> {
    let counts = match function {
        Function::FormatTimestamp | Function::ParseTimestamp | Function::Substring => 2..=3,
        Function::FormatDate | Function::ParseDate | Function::TimestampAdd | Function::NullIf => 2..=2,
        Function::Split | Function::Power | Function::ArrayContains => 2..=2,
        Function::Replace | Function::Lpad => 3..=3,
        Function::Round => 1..=2,
        Function::Greatest | Function::Least | Function::Coalesce | Function::Concat => 1..=usize::MAX,
        Function::ConcatWs => 1..=usize::MAX,
        Function::MakeArray | Function::MakeStruct => 0..=usize::MAX,
        _ => 1..=1,
    };
    if !counts.contains(&args.len()) {
        let given = args.len();
        return Err(EngineError::Unsupported(format!("{function:?} with {given} arguments")));
    }
    match function {
        Function::Coalesce => {
            let args = args.into_iter().map(|a| coerce(a, wanted)).collect::<Result<Vec<_>, _>>()?;
            Node::new(Form::Coalesce(args), wanted.clone()).folded()
        }
        Function::FormatTimestamp => with_pattern(Use::FormatTimestamp, args, &DataType::Timestamp, wanted),
        Function::ParseTimestamp => with_pattern(Use::ParseTimestamp, args, &DataType::Varchar, wanted),
        Function::FormatDate => with_pattern(Use::FormatDate, args, &DataType::Date, wanted),
        Function::ParseDate => with_pattern(Use::ParseDate, args, &DataType::Varchar, wanted),
        Function::FromUnixtime => {
            let kernel = Kernel::total(|args, _, _| arithmetic::as_timestamp(&args[0].array));
            apply(kernel, args, &[DataType::BigInt], wanted)
        }
        Function::UnixTimestamp => {
            let kernel = Kernel::total(|args, _, _| arithmetic::as_bigint(&args[0].array));
            apply(kernel, args, &[DataType::Timestamp], wanted)
        }
        Function::TimestampAdd => {
            let types = [&DataType::BigInt, &DataType::BigInt];
            let kernel = arithmetic::kernel(BinaryOp::Add, types, &DataType::Timestamp)?;
            apply(kernel, args, &[DataType::BigInt, DataType::BigInt], wanted)
        }
        Function::Greatest | Function::Least => {
            let args = args.into_iter().map(|a| coerce(a, wanted)).collect::<Result<Vec<_>, _>>()?;
            let kernel = compare::extreme(function == Function::Greatest, wanted)?;
            Node::apply(kernel, args, wanted.clone())
        }
        Function::NullIf => {
            let shared = common(&args[0].data_type, &args[1].data_type);
            let to = shared.filter(|t| t == wanted).unwrap_or_else(|| wanted.clone());
            apply(compare::null_if(), args, &[to.clone(), to], wanted)
        }
        Function::ArrayContains => {
            let DataType::Array(element) = &args[0].data_type else { return Err(wrong(function, &args[0])) };
            let types = [args[0].data_type.clone(), (**element).clone()];
            apply(compare::array_contains(), args, &types, wanted)
        }
        Function::ArrayLength => {
            let DataType::Array(_) = &args[0].data_type else { return Err(wrong(function, &args[0])) };
            Node::apply(nested::length(), args, DataType::Integer).and_then(|n| coerce(n, wanted))
        }
        Function::MapKeys => {
            let DataType::Map(_) = &args[0].data_type else { return Err(wrong(function, &args[0])) };
            Node::apply(nested::map_keys(wanted), args, wanted.clone())
        }
        Function::MakeArray => {
            let DataType::Array(element) = wanted else {
                return Err(EngineError::Unsupported(format!("an array as {wanted}")));
            };
            let args = args.into_iter().map(|a| coerce(a, element)).collect::<Result<Vec<_>, _>>()?;
            Node::apply(nested::make_array(wanted), args, wanted.clone())
        }
        Function::MakeStruct => {
            let DataType::Struct(fields) = wanted else {
                return Err(EngineError::Unsupported(format!("a struct as {wanted}")));
            };
            if fields.len() != args.len() {
                return Err(EngineError::Unsupported(format!("{wanted} of {} values", args.len())));
            }
            let args = args.into_iter().zip(fields.iter()).map(|(a, f)| coerce(a, &f.data_type));
            Node::apply(nested::make_struct(wanted), args.collect::<Result<_, _>>()?, wanted.clone())
        }
        Function::Concat | Function::ConcatWs => {
            let args = args.into_iter().map(|a| cast_to(a, &DataType::Varchar)).collect::<Result<_, _>>()?;
            let kernel = if function == Function::Concat { strings::concat() } else { strings::concat_ws() };
            Node::apply(kernel, args, wanted.clone())
        }
        Function::Ucase => apply(strings::ucase(), args, &[DataType::Varchar], wanted),
        Function::Lcase => apply(strings::lcase(), args, &[DataType::Varchar], wanted),
        Function::Trim => apply(strings::trim(), args, &[DataType::Varchar], wanted),
        Function::Len => {
            let args = vec_of(args, &[DataType::Varchar])?;
            Node::apply(strings::len(), args, DataType::Integer).and_then(|n| coerce(n, wanted))
        }
        Function::Substring => {
            let types = [DataType::Varchar, DataType::BigInt, DataType::BigInt];
            apply(strings::substring(), args, &types, wanted)
        }
        Function::Replace => apply(
            strings::replace(),
            args,
            &[DataType::Varchar, DataType::Varchar, DataType::Varchar],
            wanted,
        ),
        Function::Lpad => {
            apply(strings::lpad(), args, &[DataType::Varchar, DataType::BigInt, DataType::Varchar], wanted)
        }
        Function::Split => apply(strings::split(), args, &[DataType::Varchar, DataType::Varchar], wanted),
        Function::Abs => {
            let kernel = math::abs(wanted)?;
            apply(kernel, args, std::slice::from_ref(wanted), wanted)
        }
        Function::Floor | Function::Ceil | Function::Round => math::rounding(function, args, wanted),
        Function::Sqrt => apply(math::sqrt(), args, &[DataType::Double], wanted),
        Function::Power => apply(math::power(), args, &[DataType::Double, DataType::Double], wanted),
    }
}

fn wrong(function: Function, arg: &Node) -> EngineError {
    EngineError::Unsupported(format!("{function:?} of {}", arg.data_type))
}

/// The arguments as these types.
fn vec_of(args: Vec<Node>, types: &[DataType]) -> Result<Vec<Node>, EngineError> {
    args.into_iter().zip(types).map(|(a, t)| coerce(a, t)).collect()
}

fn apply(
    kernel: Kernel,
    args: Vec<Node>,
    types: &[DataType],
    wanted: &DataType,
) -> Result<Node, EngineError> {
    Node::apply(kernel, vec_of(args, types)?, wanted.clone())
}

/// A function of (value, pattern [, zone]).
fn with_pattern(
    what: Use,
    args: Vec<Node>,
    value: &DataType,
    wanted: &DataType,
) -> Result<Node, EngineError> {
    let mut args = args.into_iter();
    let mut nodes = Vec::new();
    nodes.extend(args.next().map(|a| coerce(a, value)).transpose()?);
    for arg in args {
        nodes.push(text(arg)?);
    }
    let constant = |at: usize| nodes.get(at).map(Node::literal);
    // A zone that is not constant is known by row only.
    let kernel = time::kernel(what, constant(1).flatten(), constant(2))?;
    Node::apply(kernel, nodes, wanted.clone())
}

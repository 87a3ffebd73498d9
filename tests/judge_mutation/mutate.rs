//! Rewriting a source file so that it holds all its mutations at once, each behind a switch (mutant schemata).
//!
//! `a == b` becomes `(on(17) != (a == b))`: with switch 17 off it is what it was. So the judge is built once, and which
//! mutation is alive is a matter of run time. Constants, patterns, types and the arguments of macros stay as they are,
//! since no switch can stand there; tests are left alone.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned as _;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Block, Expr, FnArg, ReturnType, Signature, Stmt, Type, UnOp, parse_quote};

/// How many numbers a file has at least.
const STRIDE: usize = 512;

/// How many characters of the mutated code are quoted.
const QUOTE_CHARS: usize = 90;

/// One deviation from the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// The file, below `src/rules`.
    pub(crate) file: String,
    /// The line in it.
    pub(crate) line: usize,
    /// File, function and change: what it is known by when lines move.
    pub(crate) key: String,
}

/// What is known of all files together.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    /// All mutations so far; the place of each is the number of its switch. Some places are empty.
    pub(crate) mutations: Vec<Option<Mutation>>,
    /// Keys of mutations that do not compile: they get a number, but no switch.
    pub(crate) unviable: BTreeSet<String>,
    /// Functions of the rules that return nothing, whatever they are methods of: called for their effect.
    pub(crate) effects: BTreeSet<String>,
    /// How often each key was given, so that equal ones are told apart.
    pub(crate) keys: BTreeMap<String, usize>,
}

impl Whole {
    /// All mutations, with their numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Mutation)> {
        self.mutations.iter().enumerate().filter_map(|(number, one)| Some((number, one.as_ref()?)))
    }

    /// What a mutation is known by.
    pub(crate) fn key(&self, number: usize) -> &str {
        self.mutations.get(number).and_then(Option::as_ref).map_or("", |one| one.key.as_str())
    }

    /// Learns which functions of a file are called for their effect; `others` are names that return something.
    pub(crate) fn learn(&mut self, file: &syn::File, others: &mut BTreeSet<String>) {
        struct Names<'n>(&'n mut BTreeSet<String>, &'n mut BTreeSet<String>);
        impl VisitMut for Names<'_> {
            fn visit_signature_mut(&mut self, signature: &mut Signature) {
                let of = if matches!(signature.output, ReturnType::Default) { &mut *self.0 } else { &mut *self.1 };
                of.insert(signature.ident.to_string());
            }
        }
        Names(&mut self.effects, others).visit_file_mut(&mut file.clone());
    }

    /// The file with all its mutations behind switches. Each file has numbers of its own, so that those of the others stay
    /// when it is changed, and less is built anew.
    pub(crate) fn rewrite(&mut self, name: &str, mut file: syn::File) -> String {
        self.mutations.resize(self.mutations.len().next_multiple_of(STRIDE), None);
        Rewriting { whole: self, file: name.to_owned(), path: Vec::new() }.visit_file_mut(&mut file);
        file.into_token_stream().to_string()
    }
}

/// The numbers of switches in rewritten text, each with the bytes that its mutation takes up, innermost last.
pub(crate) fn regions(text: &str) -> Vec<(usize, std::ops::Range<usize>)> {
    fn walk(tokens: TokenStream, around: &std::ops::Range<usize>, found: &mut Vec<(usize, std::ops::Range<usize>)>) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (place, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            let called = place.checked_sub(1).map(|before| tokens[before].to_string());
            if called.as_deref() == Some("on")
                && let Ok(number) = group.stream().to_string().trim_end_matches("usize").parse()
            {
                found.push((number, around.clone()));
            }
            let own = if group.delimiter() == Delimiter::None { around.clone() } else { group.span().byte_range() };
            walk(group.stream(), &own, found);
        }
    }
    let mut found = Vec::new();
    if let Ok(tokens) = text.parse() {
        walk(tokens, &(0..text.len()), &mut found);
    }
    found
}

/// One file under way.
struct Rewriting<'w> {
    whole: &'w mut Whole,
    file: String,
    /// Where we are: the type, the function.
    path: Vec<String>,
}

/// The switch of a mutation.
fn on(number: usize) -> Expr {
    parse_quote!(crate::rules::mutation::on(#number))
}

/// The source of something, on one line.
fn source(span: Span) -> String {
    let text = span.source_text().unwrap_or_default();
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    if line.chars().count() > QUOTE_CHARS {
        line = line.chars().take(QUOTE_CHARS).collect();
        line.push('…');
    }
    line
}

/// Whether an attribute says that something is there for tests only.
fn for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|one| one.path().is_ident("test") || one.to_token_stream().to_string().contains("cfg (test"))
}

/// Whether a condition binds something, so that it cannot become a value.
fn binds(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(both) if matches!(both.op, BinOp::And(_)) => binds(&both.left) || binds(&both.right),
        _ => false,
    }
}

/// What a function can return instead, by its type.
fn stand_ins(output: &ReturnType) -> Vec<Option<Expr>> {
    let ReturnType::Type(_, of) = output else { return vec![None] };
    match &**of {
        Type::Path(path) => {
            let Some(last) = path.path.segments.last() else { return Vec::new() };
            match last.ident.to_string().as_str() {
                "bool" => vec![Some(parse_quote!(true)), Some(parse_quote!(false))],
                "Option" => vec![Some(parse_quote!(None))],
                "String" => vec![Some(parse_quote!(String::new()))],
                "Vec" => vec![Some(parse_quote!(Vec::new()))],
                "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => {
                    vec![Some(parse_quote!(0)), Some(parse_quote!(1))]
                }
                _ => Vec::new(),
            }
        }
        Type::Reference(to) if to.elem.to_token_stream().to_string() == "str" => vec![Some(parse_quote!(""))],
        _ => Vec::new(),
    }
}

/// What an operator becomes.
fn other(op: &BinOp) -> Option<BinOp> {
    Some(match op {
        BinOp::Add(_) => parse_quote!(-),
        BinOp::Sub(_) => parse_quote!(+),
        BinOp::Mul(_) => parse_quote!(/),
        BinOp::Div(_) | BinOp::Rem(_) => parse_quote!(*),
        BinOp::BitAnd(_) => parse_quote!(|),
        BinOp::BitOr(_) => parse_quote!(&),
        BinOp::AddAssign(_) => parse_quote!(-=),
        BinOp::SubAssign(_) => parse_quote!(+=),
        BinOp::BitOrAssign(_) => parse_quote!(&=),
        BinOp::BitAndAssign(_) => parse_quote!(|=),
        _ => return None,
    })
}

/// What a comparison becomes: the bound moved, and the direction turned.
fn others(op: &BinOp) -> Option<[BinOp; 2]> {
    Some(match op {
        BinOp::Lt(_) => [parse_quote!(<=), parse_quote!(>)],
        BinOp::Le(_) => [parse_quote!(<), parse_quote!(>=)],
        BinOp::Gt(_) => [parse_quote!(>=), parse_quote!(<)],
        BinOp::Ge(_) => [parse_quote!(>), parse_quote!(<=)],
        _ => return None,
    })
}

fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

impl Rewriting<'_> {
    /// A new mutation here; its number, unless it does not compile.
    fn site(&mut self, span: Span, what: String) -> Option<usize> {
        let mut key = format!("{} {}: {what}", self.file, self.path.join("::"));
        let count = self.whole.keys.entry(key.clone()).or_default();
        *count += 1;
        if *count > 1 {
            key = format!("{key} ({count})");
        }
        let number = self.whole.mutations.len();
        let viable = !self.whole.unviable.contains(&key);
        self.whole.mutations.push(Some(Mutation { file: self.file.clone(), line: span.start().line, key }));
        viable.then_some(number)
    }

    /// The beginning of a body: what it returns instead.
    fn function(&mut self, signature: &Signature, body: &mut Block) {
        if signature.constness.is_some() {
            return;
        }
        self.path.push(signature.ident.to_string());
        let whole: Option<String> = match body.stmts.as_slice() {
            [] => Some(String::new()),
            [Stmt::Expr(only, None)] => Some(only.to_token_stream().to_string()),
            _ => None,
        };
        let mut begin: Vec<Stmt> = Vec::new();
        for value in stand_ins(&signature.output) {
            let text = value.to_token_stream().to_string();
            if whole.as_ref() == Some(&text) {
                continue;
            }
            let shown = if value.is_some() { text.replace(' ', "") } else { "()".to_owned() };
            if let Some(number) = self.site(signature.ident.span(), format!("return {shown} at once")) {
                let on = on(number);
                begin.push(parse_quote!(if #on { return #value; }));
            }
        }
        self.visit_block_mut(body);
        body.stmts.splice(0..0, begin);
        self.path.pop();
    }

    fn binary(&mut self, expr: &mut Expr) {
        let Expr::Binary(both) = expr else { return };
        let (span, text) = (both.op.span(), source(both.span()));
        let op = source(both.op.span());
        let logic = matches!(both.op, BinOp::And(_) | BinOp::Or(_));
        if matches!(both.op, BinOp::Eq(_) | BinOp::Ne(_)) {
            let to = if matches!(both.op, BinOp::Eq(_)) { "!=" } else { "==" };
            let number = self.site(span, format!("{op} to {to} in {text}"));
            visit_mut::visit_expr_binary_mut(self, both);
            if let Some(on) = number.map(on) {
                *expr = parse_quote!((#on != (#expr)));
            }
        } else if let Some([first, second]) = others(&both.op) {
            let number =
                |own: &mut Self, to: &BinOp| own.site(span, format!("{op} to {} in {text}", to.to_token_stream()));
            let numbers = (number(self, &first), number(self, &second));
            visit_mut::visit_expr_binary_mut(self, both);
            let (left, right, op) = (&both.left, &both.right, &both.op);
            let mut value = quote!(one #op two);
            for (number, op) in [(numbers.0, first), (numbers.1, second)] {
                if let Some(on) = number.map(on) {
                    value = quote!(if #on { one #op two } else { #value });
                }
            }
            *expr = parse_quote!((match (&(#left), &(#right)) { (one, two) => #value }));
        } else if logic && !binds(&both.left) && !binds(&both.right) {
            let and = matches!(both.op, BinOp::And(_));
            let to = if and { "||" } else { "&&" };
            let number = self.site(span, format!("{op} to {to} in {text}"));
            visit_mut::visit_expr_binary_mut(self, both);
            let (left, right) = (&both.left, &both.right);
            if let Some(number) = number {
                let (on, one) = (on(number), quote::format_ident!("left_{number}"));
                // What decides is the left side; the mutation decides the other way round.
                let go_on = if and { quote!(#one != #on) } else { quote!(#one == #on) };
                *expr = parse_quote!(({ let #one: bool = #left; if #go_on { #right } else { #one } }));
            }
        } else if let Some(to) = other(&both.op) {
            let number = self.site(span, format!("{op} to {} in {text}", to.to_token_stream()));
            visit_mut::visit_expr_binary_mut(self, both);
            let mut swapped = both.clone();
            swapped.op = to;
            if let Some(on) = number.map(on) {
                *expr = parse_quote!((if #on { (#swapped) } else { (#both) }));
            }
        } else {
            visit_mut::visit_expr_binary_mut(self, both);
        }
    }

    fn arms(&mut self, found: &mut syn::ExprMatch) {
        self.visit_expr_mut(&mut found.expr);
        let catches_all = |arm: &syn::Arm| {
            let name =
                |one: &syn::PatIdent| one.subpat.is_none() && !one.ident.to_string().starts_with(char::is_uppercase);
            arm.guard.is_none()
                && match &arm.pat {
                    syn::Pat::Wild(_) => true,
                    syn::Pat::Ident(one) => name(one),
                    _ => false,
                }
        };
        let rest = found.arms.iter().any(catches_all);
        for arm in &mut found.arms {
            let pattern = source(arm.pat.span());
            let gone = if rest && !catches_all(arm) {
                self.site(arm.pat.span(), format!("delete match arm {pattern}"))
            } else {
                None
            };
            let mut guard: Option<Expr> = None;
            if let Some((_, old)) = &mut arm.guard {
                let text = source(old.span());
                let always =
                    if binds(old) { None } else { self.site(old.span(), format!("guard true: {pattern} if {text}")) };
                let never = self.site(old.span(), format!("guard false: {pattern} if {text}"));
                self.visit_expr_mut(old);
                let mut new: Expr = (**old).clone();
                if let Some(on) = always.map(on) {
                    new = parse_quote!((#on || (#new)));
                }
                if let Some(on) = never.map(on) {
                    new = parse_quote!((!#on && (#new)));
                }
                guard = Some(new);
            }
            if let Some(on) = gone.map(on) {
                guard = Some(guard.map_or_else(|| parse_quote!(!#on), |guard| parse_quote!((!#on && (#guard)))));
            }
            if let Some(guard) = guard {
                arm.guard = Some((syn::token::If::default(), Box::new(guard)));
            }
            self.visit_expr_mut(&mut arm.body);
            if !matches!(&*arm.body, Expr::Block(_)) {
                arm.comma = Some(syn::token::Comma::default());
            }
        }
    }

    fn is_effect(&self, call: &Expr) -> bool {
        let name = match call {
            Expr::MethodCall(call) => Some(call.method.to_string()),
            Expr::Call(call) => match &*call.func {
                Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
                _ => None,
            },
            _ => None,
        };
        name.is_some_and(|name| self.whole.effects.contains(&name))
    }
}

impl VisitMut for Rewriting<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Binary(_) => self.binary(expr),
            Expr::Unary(one) if matches!(one.op, UnOp::Not(_)) => {
                let number = self.site(one.span(), format!("delete ! in {}", source(one.span())));
                self.visit_expr_mut(&mut one.expr);
                if let Some(on) = number.map(on) {
                    *expr = parse_quote!((#on != (#expr)));
                }
            }
            Expr::Match(found) => self.arms(found),
            Expr::MethodCall(_) | Expr::Call(_) if self.is_effect(expr) => {
                let number = self.site(expr.span(), format!("delete {}", source(expr.span())));
                visit_mut::visit_expr_mut(self, expr);
                if let Some(on) = number.map(on) {
                    *expr = parse_quote!({ if !#on { #expr } });
                }
            }
            // The length is a constant.
            Expr::Repeat(repeated) => self.visit_expr_mut(&mut repeated.expr),
            Expr::Const(_) => {}
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }

    fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
        let Stmt::Expr(expr, Some(_)) = statement else { return visit_mut::visit_stmt_mut(self, statement) };
        let effect = match expr {
            Expr::Assign(_) | Expr::MethodCall(_) | Expr::Call(_) => true,
            Expr::Binary(both) => is_assignment(&both.op),
            _ => false,
        };
        if !effect {
            return visit_mut::visit_stmt_mut(self, statement);
        }
        let number = self.site(expr.span(), format!("delete {}", source(expr.span())));
        match expr {
            Expr::Binary(_) => self.binary(expr),
            _ => visit_mut::visit_expr_mut(self, expr),
        }
        if let Some(on) = number.map(on) {
            *statement = parse_quote!(if !#on { #expr; });
        }
    }

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        if !for_tests(&item.attrs) {
            self.function(&item.sig, &mut item.block);
        }
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        if !for_tests(&item.attrs) {
            self.function(&item.sig, &mut item.block);
        }
    }

    fn visit_trait_item_fn_mut(&mut self, item: &mut syn::TraitItemFn) {
        if let Some(body) = &mut item.default {
            self.function(&item.sig, body);
        }
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        let name: String =
            item.self_ty.to_token_stream().to_string().split([' ', '<']).next().unwrap_or_default().into();
        self.path.push(name);
        visit_mut::visit_item_impl_mut(self, item);
        self.path.pop();
    }

    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        if !for_tests(&item.attrs) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_variant_mut(&mut self, _: &mut syn::Variant) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_pat_mut(&mut self, _: &mut syn::Pat) {}
    fn visit_fn_arg_mut(&mut self, _: &mut FnArg) {}
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
}

//! From the table of routes to a router: every request goes the same way.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::Api;
use crate::auth::Role;
use crate::call::{self, Call, Came};
use crate::codes::Own;
use crate::log::{Told, Wrong};
use crate::problem::Problem;
use crate::reply::{Reply, respond};
use crate::route::{self, Class, Route};
use crate::trace::Context;
use crate::view;

/// All endpoints of `api`.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    let mut paths: Vec<(&'static str, MethodRouter)> = Vec::new();
    for (at, route) in route::all().enumerate() {
        let of_route = Arc::clone(&api);
        let run = move |request| serve(of_route, at, route, request);
        let methods = on(filter(route), run);
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, known)) => *known = std::mem::take(known).merge(methods),
            None => paths.push((route.path, methods)),
        }
    }
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    let (lost, refused) = (Arc::clone(&api), api);
    let no_path =
        move |request: Request| std::future::ready(no_route(&lost, Own::NotFound, &request));
    let no_method = move |request: Request| {
        std::future::ready(no_route(&refused, Own::MethodNotAllowed, &request))
    };
    router.fallback(no_path).method_not_allowed_fallback(no_method)
}

fn filter(route: &Route) -> MethodFilter {
    match route.method {
        "GET" => MethodFilter::GET,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        _ => MethodFilter::POST,
    }
}

async fn serve(api: Arc<Api>, at: usize, route: &'static Route, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let (correlation, valid) = call::correlation(&api, &parts.headers);
    let trace = Context::of(&api, &parts.headers, route, &correlation);
    let about = About { at: Some(at), route: Some(route.name), correlation: &correlation, started };
    let key = parts.headers.get(call::KEY).map(HeaderValue::as_bytes);
    let Some(permit) = api.admission.enter(route.class(), key, started) else {
        if let Some(wait) = api.admission.pace(started) {
            tokio::time::sleep(wait).await;
        }
        let refusal = &api.admission.refusal;
        let wrong = Wrong { code: refusal.code(), detail: "", cause: None };
        return end(&api, about, trace, (refusal.answer(&correlation), Some(wrong)));
    };
    let valid = match (valid, parts.extensions.get()) {
        (Ok(()), Some(peer)) if route.role == Role::Anybody && route.method == "POST" => {
            api.limits.stranger(*peer, &parts.headers).await
        }
        (Ok(()), Some(peer)) if route.class() != Class::Vital => {
            api.limits.ip(*peer, &parts.headers).await
        }
        (valid, _) => valid,
    };
    let mut result = match valid {
        Ok(()) => {
            let came =
                Came { correlation: Arc::clone(&correlation), trace: trace.trace(), started };
            match Call::admit(&api, route, (parts, body), (came, permit)).await {
                Ok(call) => (route.run)(Arc::clone(&api), call).await,
                Err(problem) => Err(problem),
            }
        }
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &mut result {
        problem.compatible = route.is_compatible();
    }
    let mut response = answer(&api, about, trace, result);
    if route.method != "GET" {
        view::mark(&api, response.headers_mut());
    }
    response
}

fn no_route(api: &Api, own: Own, request: &Request) -> Response {
    let started = Instant::now();
    let (correlation, _) = call::correlation(api, request.headers());
    let about = About { at: None, route: None, correlation: &correlation, started };
    let detail = match own {
        Own::NotFound => "there is no such path; GET /openapi.json lists all of them",
        _ => "the header Allow lists what the path knows",
    };
    answer(api, about, Context::default(), Err(Problem::of(own, detail)))
}

/// Whose answer it is.
#[derive(Clone, Copy)]
struct About<'a> {
    /// Number and name of the route; none: of no route.
    at: Option<usize>,
    route: Option<&'static str>,
    correlation: &'a str,
    started: Instant,
}

fn answer(
    api: &Api,
    about: About<'_>,
    context: Context,
    result: Result<Reply, Problem>,
) -> Response {
    let (response, problem) = respond(about.correlation, result);
    let wrong = problem.as_ref().map(|problem| Wrong {
        code: problem.code,
        detail: &problem.detail,
        cause: problem.cause.as_deref(),
    });
    end(api, about, context, (response, wrong))
}

/// Counts and logs an answer, and puts its trace on it.
fn end(
    api: &Api,
    about: About<'_>,
    context: Context,
    (mut response, wrong): (Response, Option<Wrong<'_>>),
) -> Response {
    let About { at, route, correlation, started } = about;
    let (status, trace) = (response.status().as_u16(), context.trace());
    api.counts.answered(at, status);
    api.log.tell(Told { route, status, correlation, trace, took: started.elapsed() }, wrong);
    context.answer(status, wrong.map(|wrong| wrong.code), response.headers_mut());
    response
}

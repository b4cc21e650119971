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
use crate::call::{self, Call};
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::{Reply, respond};
use crate::route::{self, Class, Route};

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
    let key = parts.headers.get(call::KEY).map(HeaderValue::as_bytes);
    let Some(permit) = api.admission.enter(route.class(), key, started) else {
        if let Some(wait) = api.admission.pace(started) {
            tokio::time::sleep(wait).await;
        }
        api.counts.answered(Some(at), 503);
        return api.admission.refusal.answer(&correlation);
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
            let about = (Arc::clone(&correlation), started, permit);
            match Call::admit(&api, route, (parts, body), about).await {
                Ok(call) => (route.run)(Arc::clone(&api), call).await,
                Err(problem) => Err(problem),
            }
        }
        Err(problem) => Err(problem),
    };
    if let Err(problem) = &mut result {
        problem.compatible = route.is_compatible();
    }
    answer(&api, Some(at), &correlation, result)
}

fn no_route(api: &Api, own: Own, request: &Request) -> Response {
    let (correlation, _) = call::correlation(api, request.headers());
    let detail = match own {
        Own::NotFound => "there is no such path; GET /openapi.json lists all of them",
        _ => "the header Allow lists what the path knows",
    };
    answer(api, None, &correlation, Err(Problem::of(own, detail)))
}

fn answer(
    api: &Api,
    at: Option<usize>,
    correlation: &str,
    result: Result<Reply, Problem>,
) -> Response {
    let response = respond(correlation, result);
    api.counts.answered(at, response.status().as_u16());
    response
}

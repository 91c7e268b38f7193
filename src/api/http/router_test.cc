#include "api/http/router.h"

#include <atomic>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "api/http/handlers.h"

namespace fletching::http {
namespace {

TEST(Router, FindsEveryRouteByItsPattern) {
  for (const Route& route : Routes()) {
    std::string path(route.pattern);
    for (const std::string_view name : {"{name}", "{column}"}) {
      const size_t at = path.find(name);
      if (at != std::string::npos) path.replace(at, name.size(), "x.y");
    }
    const RouteMatch match = FindRoute(route.method, path);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->operation_id, route.operation_id);
  }
}

TEST(Router, HasNoTwoRoutesOrOperationsAlike) {
  std::set<std::string> seen;
  for (const Route& route : Routes()) {
    const std::string pattern = std::string(MethodName(route.method)) + std::string(route.pattern);
    EXPECT_TRUE(seen.insert(pattern).second) << pattern;
    EXPECT_TRUE(seen.insert(std::string(route.operation_id)).second) << route.operation_id;
  }
}

TEST(Router, SaysOfEveryRouteWhatItNeeds) {
  using access::Need;
  std::set<std::string_view> open;
  for (const Route& route : Routes()) {
    EXPECT_NE(route.need, Need::kUnset) << route.operation_id;
    if (route.need == Need::kOpen) open.insert(route.operation_id);
    // A role is one on a table, so there has to be one; and who changes something needs more.
    const bool has_table = route.pattern.find("{name}") != std::string_view::npos;
    EXPECT_EQ(route.need >= Need::kRead, has_table) << route.operation_id;
    // SQL names its tables in the body, and asks for each (HandleQuery).
    const bool asks = route.operation_id == "query" || route.operation_id == "sql";
    const bool reads =
        asks || route.method == Method::kGet || route.operation_id.starts_with("fetch");
    EXPECT_EQ(route.need > Need::kRead, !reads) << route.operation_id;
  }
  EXPECT_EQ(open, (std::set<std::string_view>{"health", "livez", "readyz", "openapi"}));
}

TEST(Router, DecodesNames) {
  const RouteMatch match = FindRoute(Method::kPatch, "/api/v1/table/a%2Fb/columns/%2e%2E");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.path_args[0], "a/b");
  EXPECT_EQ(match.path_args[1], "..");
  EXPECT_EQ(FindRoute(Method::kGet, "/api/v1/table/%zz").status, 400);
}

TEST(Router, TellsNoPathFromNoMethod) {
  for (const std::string_view path :
       {"", "/", "//", "health", "/healthz", "/health/", "/api/v1/table/", "/api/v1/table//schema",
        "/api/v1/table/x/y", "/api/v1/table/../x/y/z", "/v1/", "/v1/a/b", "*"}) {
    EXPECT_EQ(FindRoute(Method::kGet, path).status, 404) << path;
  }
  const RouteMatch match = FindRoute(Method::kPost, "/api/v1/table/x");
  EXPECT_EQ(match.status, 405);
  EXPECT_EQ(match.allow, "PUT, GET, HEAD, DELETE");
  const HttpResponse response = NoRouteResponse(match, "POST", "/api/v1/table/x");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at(0).first, "Allow");
}

Result<HttpResponse> Throws(const HandlerContext&, const HttpRequest&) {
  throw std::runtime_error("oops");
}
Result<HttpResponse> Fails(const HandlerContext&, const HttpRequest&) { return Busy("later"); }

TEST(Router, TurnsErrorsAndExceptionsIntoAnswers) {
  HandlerContext context;
  HttpRequest request;
  Route route = Routes()[0];
  route.handler = Throws;
  EXPECT_EQ(RunHandler(route, context, &request).status, 500);
  route.handler = Fails;
  EXPECT_EQ(RunHandler(route, context, &request).status, 503);
}

TEST(Router, ReadinessFailsWhileDraining) {
  std::atomic<bool> draining = false;
  HandlerContext context;
  context.draining = &draining;
  HttpRequest request;
  EXPECT_EQ(HandleReady(context, request)->status, 200);
  draining = true;
  EXPECT_EQ(HandleReady(context, request)->status, 503);
  EXPECT_EQ(HandleLive(context, request)->status, 200);
}

TEST(Router, HealthIsTextUnlessJsonIsNamed) {
  HttpRequest request;
  EXPECT_EQ(HandleHealth({}, request)->text, "OK");
  EXPECT_EQ(HandleHealth({}, request)->content_type, kTextType);
  request.accept = "text/html, application/json";
  EXPECT_EQ(HandleHealth({}, request)->text, R"({"status":"ok"})");
}

}  // namespace
}  // namespace fletching::http

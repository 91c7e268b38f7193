"""Hooks of test_openapi.py: lets half of the generated requests meet a table that exists."""

import schemathesis


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "name" in path_parameters and len(str(path_parameters["name"])) % 2 == 0:
        path_parameters["name"] = "docs"
    if path_parameters and path_parameters.get("name") == "docs" and "column" in path_parameters:
        path_parameters["column"] = "count"
    return path_parameters

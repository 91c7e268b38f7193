// What a matrix must hold, told from the columns of the same read by code of its own. For tests
// only.
#pragma once

#include <string>
#include <vector>

#include "fletching/engine.h"

#include "engine/test_model.h"

namespace fletching::engine {

// Number types of a column, every one that a matrix takes.
const std::vector<std::shared_ptr<arrow::DataType>>& NumberTypes();

// Reads the keys as columns and as matrices of every type, with and without a fill, into memory of
// random strides, and holds one against the other: cells, errors, found bits, and that nothing
// beside the matrix was written. Reports to GoogleTest.
void CompareMatrices(const Engine& engine, const std::string& table, const KeyArrays& keys,
                     const std::vector<std::string>& columns, Random& random);

}  // namespace fletching::engine

// What a source holds now, whatever its kind, and how its rows are read. Stage: discover.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "pull/pulled_table.h"

namespace fletching::pull {

struct Offer {
  std::string name;        // of the partition or snapshot
  std::string generation;  // another one when anything changed
  std::string text;        // for the log; may be empty
  // check: now and then; an error ends the rows.
  std::function<Result<std::shared_ptr<arrow::RecordBatchReader>>(std::function<Status()> check)>
      open;
};

// spool_folder: for files on their way. check: ends the search. Errors: as FindPartition and
// FindSnapshot. Lifetime: `table` outlives the offer and its rows.
Result<Offer> FindOffer(const PulledTable& table, const std::string& spool_folder,
                        const std::function<Status()>& check);

}  // namespace fletching::pull

#include "pull/offer.h"

#include <utility>

#include <arrow/record_batch.h>

#include "pull/iceberg_source.h"
#include "pull/partition.h"
#include "pull/partition_rows.h"
#include "pull/source.h"

namespace fletching::pull {
namespace {

Result<Offer> OfferFiles(const PulledTable& table, const std::string& spool_folder) {
  ARROW_ASSIGN_OR_RAISE(const Source source, OpenSource(table.source));
  ARROW_ASSIGN_OR_RAISE(const Partition partition, FindPartition(source, table.layout));
  Offer offer;
  offer.name = partition.name;
  offer.generation = partition.generation;
  offer.open = [&table, spool_folder, source, partition](std::function<Status()> check) {
    // Files that are written anew, or still arrive, while they are read.
    auto at_end = [&table, source, partition]() -> Status {
      ARROW_ASSIGN_OR_RAISE(const Partition now, FindPartition(source, table.layout));
      if (now.generation == partition.generation) return Status::OK();
      return Unavailable(source.where + ": " + partition.name +
                         " changed while it was loaded; it is loaded again at the next look");
    };
    return OpenPartitionRows(source, partition, table.schema,
                             {.hive_columns = table.layout == Layout::kHive,
                              .spool_folder = spool_folder,
                              .check = std::move(check),
                              .at_end = std::move(at_end)});
  };
  return offer;
}

Result<Offer> OfferSnapshot(const PulledTable& table, const std::function<Status()>& check) {
  ARROW_ASSIGN_OR_RAISE(const IcebergSnapshot snapshot, FindSnapshot(table.source, check));
  Offer offer;
  offer.name = PartitionNameOf(snapshot.generation);
  offer.generation = snapshot.generation;
  offer.text = snapshot.text;
  // A snapshot's files never change, so nothing is looked at again at the end.
  offer.open = [&table, snapshot](std::function<Status()> on_wait) {
    return OpenSnapshotRows(table.source, snapshot, table.schema, std::move(on_wait));
  };
  return offer;
}

}  // namespace

Result<Offer> FindOffer(const PulledTable& table, const std::string& spool_folder,
                        const std::function<Status()>& check) {
  return table.source.kind == SourceSpec::Kind::kIceberg ? OfferSnapshot(table, check)
                                                         : OfferFiles(table, spool_folder);
}

}  // namespace fletching::pull

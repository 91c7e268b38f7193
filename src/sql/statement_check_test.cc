// What a statement may name.
#include "sql/statement_check.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace fletching::sql {
namespace {

class StatementCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto database = duck::DuckDatabase::Open({});
    ASSERT_TRUE(database.ok()) << database.status();
    connection_ = (*database)->Connect().ValueOrDie();
  }
  // The tables, or the error.
  std::string Check(const std::string& text) {
    const auto checked = CheckStatement(connection_.get(), text);
    if (!checked.ok()) return std::string(CodeName(CodeOf(checked.status())));
    std::string names;
    for (const std::string& name : checked->tables) names += (names.empty() ? "" : " ") + name;
    return names;
  }
  std::shared_ptr<duck::DuckConnection> connection_;
};

TEST_F(StatementCheckTest, NamesTheTables) {
  EXPECT_EQ(Check("SELECT 1"), "");
  EXPECT_EQ(Check("SELECT a FROM docs"), "docs");
  EXPECT_EQ(Check("FROM docs"), "docs");
  EXPECT_EQ(Check("SELECT * FROM b JOIN a USING (id) WHERE a.x > b.y"), "a b");
  EXPECT_EQ(Check("SELECT * FROM a, a AS second"), "a");
  EXPECT_EQ(Check("WITH x AS (SELECT * FROM a) SELECT * FROM x, X"), "a");
  EXPECT_EQ(Check("WITH RECURSIVE r AS (SELECT 1 i UNION ALL SELECT i + 1 FROM r WHERE i < 9) "
                  "SELECT * FROM r JOIN a ON a.id = r.i"),
            "a");
  EXPECT_EQ(Check("SELECT (SELECT max(v) FROM b) FROM a WHERE k IN (SELECT k FROM c)"), "a b c");
  EXPECT_EQ(Check("SELECT * FROM a UNION SELECT * FROM b EXCEPT SELECT * FROM c"), "a b c");
  EXPECT_EQ(Check("SELECT * FROM main.a ORDER BY (SELECT x FROM b) LIMIT 3"), "a b");
  EXPECT_EQ(Check("SELECT * FROM a ASOF JOIN b ON a.t >= b.t"), "a b");
  EXPECT_EQ(Check("SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.id = a.id)"), "a b");
  EXPECT_EQ(Check("SELECT * FROM range(3), generate_series(1, 2), unnest([1, 2])"), "");
  EXPECT_EQ(Check("VALUES (1, 2)"), "");
  EXPECT_EQ(Check("SELECT * FROM 'file.parquet'"), "file.parquet");  // a table nobody has
  EXPECT_EQ(Check("SELECT sum(x) OVER (PARTITION BY y) FROM a QUALIFY row_number() OVER () = 1"),
            "a");
}

TEST_F(StatementCheckTest, OffersNothingElse) {
  for (const char* const text : {
           "SELECT * FROM read_csv('x')",
           "SELECT * FROM READ_TEXT('/etc/passwd')",
           "SELECT * FROM main.read_parquet('x')",
           "SELECT * FROM glob('*')",
           "SELECT * FROM arrow_scan(1, 2, 3)",
           "SELECT * FROM fletching_rows(1)",
           "SELECT * FROM query('SELECT 1')",
           "SELECT * FROM query_table('a')",
           "SELECT * FROM duckdb_settings()",
           "SELECT * FROM pragma_version()",
           "SELECT current_setting('threads')",
           "SELECT getenv('HOME')",
           "SELECT 1 + (SELECT length(current_setting('temp_directory')))",
           "WITH x AS (SELECT * FROM read_blob('x')) SELECT 1",
           "SELECT * FROM a WHERE EXISTS (SELECT * FROM sniff_csv('x'))",
           "SELECT * FROM information_schema.tables",
           "SELECT * FROM temp.a",
           "SELECT * FROM system.main.duckdb_settings",
           "SELECT sleep_ms(1000)",
           "SELECT * FROM a UNION SELECT * FROM read_json('x')",
           "SELECT * FROM json_execute_serialized_sql('x')",
           "SHOW TABLES",
           "DESCRIBE a",
           "SUMMARIZE a",
           "SELECT * FROM (DESCRIBE a)",
       }) {
    EXPECT_EQ(Check(text), "forbidden") << text;
  }
}

TEST_F(StatementCheckTest, OnlyOneSelect) {
  for (const char* const text : {"",
                                 " ",
                                 ";",
                                 "-- nothing",
                                 "SELECT",
                                 "SELECT 1; SELECT 2",
                                 "SELECT 1; DROP TABLE a",
                                 "INSERT INTO a VALUES (1)",
                                 "COPY a TO 'x'",
                                 "EXPORT DATABASE 'x'",
                                 "ATTACH 'x'",
                                 "INSTALL httpfs",
                                 "LOAD httpfs",
                                 "SET threads = 1",
                                 "RESET threads",
                                 "PRAGMA version",
                                 "CREATE TABLE a (b INT)",
                                 "CREATE SECRET s (TYPE s3)",
                                 "CALL pragma_version()",
                                 "CHECKPOINT",
                                 "EXPLAIN SELECT 1",
                                 "PREPARE p AS SELECT 1",
                                 "BEGIN",
                                 "VACUUM",
                                 "USE memory",
                                 "SELECT * FROM a WHERE (",
                                 "SELECT 'x"}) {
    EXPECT_EQ(Check(text), "invalid_argument") << text;
  }
}

TEST_F(StatementCheckTest, DeepAndOddText) {
  std::string deep = "SELECT ";
  for (int i = 0; i < 5000; ++i) deep += "(";
  EXPECT_EQ(Check(deep + "1"), "invalid_argument");
  EXPECT_EQ(Check(std::string("SELECT 1\0SELECT 2", 17)), "invalid_argument");
  EXPECT_EQ(Check("SELECT '\xff\xfe'"), "invalid_argument");
}

}  // namespace
}  // namespace fletching::sql

/// One self-contained HTML file: sentences, figures drawn by plotly, tables; nothing in it comes from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "kvplace/base/result.h"

namespace kvplace {

/// A figure of plotly. Its numbers are also a table, for readers without scripts and for machines.
struct Figure {
  std::string id;      ///< of the page: letters and hyphens
  std::string title;   ///< a heading
  std::string alt;     ///< what it shows, in one sentence with its numbers; for who cannot see it
  std::string note;    ///< below it: how to read it; may be empty
  std::string plotly;  ///< JSON with "data" and "layout"; empty: there is none, and `note` says why
};

/// Cells are text; the first row is the head.
struct PageTable {
  std::string title;
  std::string note;
  std::vector<std::vector<std::string>> rows;
};

struct Page {
  std::string title;
  std::string asked;                 ///< what was asked, a line per paragraph
  std::vector<std::string> verdict;  ///< sentences
  std::vector<Figure> figures;
  std::vector<PageTable> tables;
  std::string described;    ///< all that was asked, as text of the command; may be empty
  std::string made_by;      ///< version, inputs and their digests; lines
  std::string again;        ///< the commands that make it again; lines
  std::string data;         ///< the result as JSON
  std::string interactive;  ///< id of an element that `script` fills; may be empty
  std::string script;       ///< JavaScript with a function `more`, which runs once the figures are drawn; may be empty
};

/// The numbers of a figure as rows of text, the first of them the head: a column for each of its lines, or of a heat
/// map for each column. REQUIRES: figure.plotly is not empty.
[[nodiscard]] std::vector<std::vector<std::string>> table_of(const Figure& figure);

[[nodiscard]] std::string to_html(const Page& page);

/// The file appears only when it is complete.
[[nodiscard]] Status write_page(const std::string& path, const Page& page);

}  // namespace kvplace

#include "kvplace/report/page.h"

#include <algorithm>

#include "kvplace/base/file_guard.h"
#include "report/assets.h"

namespace kvplace {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// JSON as a script element holds it: '<' stands in strings only.
std::string in_script(const std::string& json) {
  std::string out;
  for (const char c : json) {
    out += c == '<' ? std::string("\\u003c") : std::string(1, c);
  }
  return out;
}

std::string data_element(const std::string& id, const std::string& json) {
  return "<script type=\"application/json\" id=\"" + id + "\">" + in_script(json) + "</script>\n";
}

/// Whether a cell is right-aligned.
bool is_number(const std::string& cell) {
  return !cell.empty() && std::all_of(cell.begin(), cell.end(), [](char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == 'e' || c == '+';
  });
}

std::string html_table(const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"table\" tabindex=\"0\"><table>\n<thead><tr>";
  for (const std::string& name : rows.front()) {
    out += "<th scope=\"col\">" + escaped(name) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (auto row = rows.begin() + 1; row != rows.end(); ++row) {
    out += "<tr><th scope=\"row\">" + escaped(row->front()) + "</th>";
    for (auto cell = row->begin() + 1; cell != row->end(); ++cell) {
      out +=
          (rows.front().size() > 2 && is_number(*cell) ? "<td class=\"number\">" : "<td>") + escaped(*cell) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string html_figure(const Figure& figure) {
  std::string out = "<section id=\"" + figure.id + "\">\n<h2>" + escaped(figure.title) + "</h2>\n";
  if (figure.plotly.empty()) {
    return out + "<p>" + escaped(figure.note) + "</p>\n</section>\n";
  }
  out += "<figure>\n<div class=\"drawing\" role=\"img\" aria-label=\"" + escaped(figure.alt) +
         "\" data-figure=\"figure-" + figure.id + "\"></div>\n";
  out += "<figcaption>" + escaped(figure.alt) + (figure.note.empty() ? "" : " " + escaped(figure.note)) +
         "</figcaption>\n</figure>\n";
  out += "<details><summary>The same as a table</summary>\n" + html_table(table_of(figure)) + "</details>\n";
  return out + data_element("figure-" + figure.id, figure.plotly) + "</section>\n";
}

std::string paragraphs(const std::string& lines) {
  std::string out;
  std::size_t begin = 0;
  while (begin < lines.size()) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    if (end > begin) {
      out += "<p>" + escaped(lines.substr(begin, end - begin)) + "</p>\n";
    }
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::string to_html(const Page& page) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" +
      escaped(page.title) + "</title>\n<style>\n";
  out += page_style();
  out += "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + escaped(page.title) + "</h1>\n" +
         paragraphs(page.asked) + "<div class=\"verdict\">\n";
  for (const std::string& sentence : page.verdict) {
    out += "<p>" + escaped(sentence) + "</p>\n";
  }
  out +=
      "</div>\n<noscript><p>Figures are drawn by a script, which is switched off here; the numbers of each stand in "
      "the "
      "table below it.</p></noscript>\n</header>\n";
  for (const Figure& figure : page.figures) {
    out += html_figure(figure);
  }
  if (!page.interactive.empty()) {
    out += "<section id=\"" + page.interactive + "\"></section>\n";
  }
  for (const PageTable& table : page.tables) {
    out += "<section>\n<h2>" + escaped(table.title) + "</h2>\n<p>" + escaped(table.note) + "</p>\n" +
           html_table(table.rows) + "</section>\n";
  }
  if (!page.described.empty()) {
    out += "<section id=\"described\">\n<h2>What was asked, in full</h2>\n<pre>" + escaped(page.described) +
           "</pre>\n</section>\n";
  }
  out += "<section id=\"made\">\n<h2>Made by</h2>\n" + paragraphs(page.made_by) + "<h2>To make it again</h2>\n<pre>" +
         escaped(page.again) + "</pre>\n</section>\n</main>\n";
  out += data_element("result", page.data);
  out += "<script type=\"application/gzip\" id=\"plotly\">";
  out += plotly_bundle();
  out += "</script>\n<script>\n";
  out += page_script();
  return out + page.script + "kvplace.start(" + (page.script.empty() ? "" : "more") +
         ");\n</script>\n</body>\n</html>\n";
}

Status write_page(const std::string& path, const Page& page) { return write_output(path, to_html(page)); }

}  // namespace kvplace

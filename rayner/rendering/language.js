// The language of a page: English and Chinese. The page holds the English; the Chinese stands in data-zh attributes.
"use strict";
window.raynerLanguage = {
  /** "en" or "zh": the saved choice if there is one, else the language of the browser. */
  choose: function (saved) {
    if (saved === "en" || saved === "zh") { return saved; }
    return /^zh\b/i.test(navigator.language || "") ? "zh" : "en";
  },
  other: function (language) { return language === "zh" ? "en" : "zh"; },
  /** Show the whole page in a language. The English texts are kept in data-en attributes. */
  show: function (language) {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
    document.querySelectorAll("[data-zh]").forEach(function (element) {
      if (!element.hasAttribute("data-en")) { element.setAttribute("data-en", element.textContent); }
      element.textContent = element.getAttribute("data-" + language);
    });
    ["aria-label", "title"].forEach(function (name) {
      document.querySelectorAll("[data-zh-" + name + "]").forEach(function (element) {
        if (!element.hasAttribute("data-en-" + name)) {
          element.setAttribute("data-en-" + name, element.getAttribute(name));
        }
        element.setAttribute(name, element.getAttribute("data-" + language + "-" + name));
      });
    });
    var button = document.getElementById("language");
    button.lang = this.other(language);
    button.hidden = false;
  }
};

// Sends the page's form: the answer to the app (OAuth 2.0 Form Post Response Mode), or another site's request again. No
// module and nothing newer than ECMAScript 5: where this does not run, the person has to press a button. The prototype's
// method, since a field may be called "submit".
HTMLFormElement.prototype.submit.call(document.forms[0]);

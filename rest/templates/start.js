// Shows the document of this server; nothing is asked of any other.
window.ui = SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: true,
  filter: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});

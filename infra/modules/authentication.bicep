@description('The name of the function app.')
param functionAppName string

@description('The client id of the app registration.')
param clientId string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true, runtimeVersion: '~1' }
    globalValidation: {
      // The app decides for each route who may call it, by the principal that this names.
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
      // A second lock: these bring tokens and keys of others, which must not be judged here.
      excludedPaths: ['/runtime/webhooks/*', '/api/call-automation-events', '/api/health']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          clientId: clientId
          // No secret: the managed identity vouches for the app.
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
        }
        validation: {
          // A token of version 2 names the client id, one of version 1 the identifier URI.
          allowedAudiences: [clientId, 'api://${clientId}']
        }
      }
    }
    login: { tokenStore: { enabled: false } }
    httpSettings: { requireHttps: true }
  }
}

@description('The name of the Communication Services resource, new or existing, in this resource group.')
param communicationName string

@description('Who answers calls and sends mail: the object id of the identity of the app.')
param principalId string

var roles = loadJsonContent('../roles.json')
var role = 'Communication and Email Service Owner'

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
}

// Named by whom it is for. An existing resource outlives this deployment and keeps the assignment of an identity that
// was deleted: Azure lets nobody give that one to the next identity, which a name made of the identity's would ask for.
resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, principalId, roles[role])
  scope: communication
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
  }
}
